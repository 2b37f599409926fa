"""Renders what people and programs read: texts, tables, JSON, the HTML page. Pure, except for the terminal itself."""

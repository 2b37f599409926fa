"""What people read: tables for terminals, texts, JSON, the HTML page. Pure, but for the terminal itself."""

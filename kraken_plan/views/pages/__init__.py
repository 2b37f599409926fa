"""Builds and renders the pages for a browser: plans, differences, results and status."""

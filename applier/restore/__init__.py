"""The way of one file, and of all of them: check, decide (pure), download, publish."""

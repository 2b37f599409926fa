"""One module per command: options -> collaborators -> run -> exit code."""

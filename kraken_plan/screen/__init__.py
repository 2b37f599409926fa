"""Shows on stderr how a run begins, how far it has come, and how it has ended."""

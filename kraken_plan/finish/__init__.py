"""Passes on how a run has ended: to programs (summary, hook), to monitoring (metrics), to people (notifications)."""

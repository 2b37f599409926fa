"""What a run leaves for people: txt reports, and results as JSON lines."""

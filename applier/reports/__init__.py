"""Writes what a run leaves for people (txt reports, results as JSON lines), and merges the results of several runs."""

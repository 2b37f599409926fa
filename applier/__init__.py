"""Executes a plan: decide (pure) -> fetch -> verify -> publish -> report.

Looks nothing up but S3 and the local files.
"""

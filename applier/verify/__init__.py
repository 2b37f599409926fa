"""Verifies local files against a plan without S3: a pass over all of them, in as many runs as it takes."""

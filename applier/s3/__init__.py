"""Asks S3 and fetches from it. Knows no plan and no disk; the only boto and obstore imports."""

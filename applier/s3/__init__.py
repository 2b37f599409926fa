"""Asks S3 and fetches from it. Knows no plan and no disk; the only room that imports boto3, urllib3 and obstore."""

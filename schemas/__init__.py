"""The contract between compile and apply: plan types, plan file, site settings, safe paths, etag arithmetic, results.

The only I/O here is to read the files that a command names (plan, site YAML, results) and to write a file atomically.
Nothing here imports click, boto3, pymongo or obstore.
"""

"""The contract between compile and apply: plan types, plan file, safe paths, etag arithmetic, results.

Nothing here does I/O beyond turning bytes into values, save reading the plan that a command names (`plan_source`), and
nothing here imports click, boto3, pymongo or obstore.
"""

"""The contract between compile and apply: plan types, plan file, site config, safe paths, etag arithmetic, results.

Nothing here does I/O beyond turning bytes into values, save reading what a command names: the plan (`plan_source`) and
the site's YAML (`site_config`). Nothing here imports click, boto3, pymongo or obstore.
"""

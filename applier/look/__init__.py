"""Looks at the files of a plan, on S3 and on disk, and changes nothing: `status`, `--dry-run`, `compile --probe-s3`."""

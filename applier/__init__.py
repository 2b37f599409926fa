"""Executes a plan. Looks nothing up but S3 and the local files.

- `s3`: asks S3 and fetches from it; the only boto and obstore imports. Knows no plan and no disk.
- `disk`: the file system below the output location, and hashing. Sends no request.
- `restore`: the way of one file and of all of them: check, decide (pure), download, publish.
- `reports`: the txt reports and the results files.
"""

"""Reads all raw files of a project from a catalog and does nothing with them: what the server and pymongo cost alone.

Run as `bare_cursor.py URI PROJECT`.
"""

import sys
from typing import Any

from pymongo import MongoClient

uri, project_id = sys.argv[1:]
fields = ("project_id", "s3_upload_path", "file_info")
client: MongoClient[dict[str, Any]] = MongoClient(uri)
with client:
    raw_files = client["krakendb"]["raw_file"]
    for _ in raw_files.find({"project_id": project_id}, fields, sort=[("_id", 1)]):
        pass

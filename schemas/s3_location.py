"""Where an upload lies in S3, read from the catalog's `s3_upload_path`."""

import re
from collections.abc import Iterable

# The rule that botocore applies to a bucket name before it sends anything.
_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")


def explain_bad_bucket_name(bucket_name: str) -> str | None:
    """Return why this can be no bucket name; None if it can."""
    if _BUCKET_NAME.fullmatch(bucket_name) and bucket_name not in {".", ".."}:
        return None
    return f"{bucket_name[:80]!r} is no bucket name (expected letters, digits, '.', '_' and '-')"


def reconstruct_s3_paths(s3_upload_path: str, relative_paths: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Return the bucket and the key of every file of an upload.

    Args:
        s3_upload_path: `bucket`, `bucket/`, `bucket/prefix/`, with or without `s3://` in front; doubled and missing
            slashes are tolerated.
        relative_paths: the keys of the catalog's `file_info`.

    Returns:
        The bucket name, and for each relative path its key: prefix + "/" + relative path.

    Raises:
        ValueError: there is no bucket in the path.

    >>> reconstruct_s3_paths("s3://bucket//prefix/", ["a.d/b"])
    ('bucket', {'a.d/b': 'prefix/a.d/b'})
    """
    without_scheme = re.sub(r"^s3:/*", "", s3_upload_path.strip(), flags=re.IGNORECASE)
    bucket_name, *prefix = [component for component in without_scheme.split("/") if component] or [""]
    if reason := explain_bad_bucket_name(bucket_name):
        raise ValueError(f"malformed s3_upload_path {s3_upload_path[:200]!r}: {reason}")
    return bucket_name, {path: "/".join([*prefix, path]) for path in relative_paths}

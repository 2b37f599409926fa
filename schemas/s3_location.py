"""Where an upload lies in S3, read from the catalog's `s3_upload_path`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from schemas.text import printable

# The rule that botocore applies to a bucket name before it sends anything.
_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectLocation:
    """Where an object is; `version_id` is None for the newest version."""

    bucket_name: str
    key: str
    version_id: str | None = None

    def __str__(self) -> str:
        version = f" (version {self.version_id})" if self.version_id else ""
        return f"s3://{self.bucket_name}/{self.key}{version}"


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


def explain_bad_endpoint_url(url: str) -> str | None:
    """Return why this cannot be the endpoint of a plan, without showing a secret in it; None if it can."""
    if "@" in url:
        return "it must not hold credentials: leave them to the AWS chain (environment, profile, instance role)"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if usable and url.startswith(("http://", "https://")) and not any(c in "?#" or c.isspace() for c in url):
        return None
    address, mark, _ = url.partition("?")  # the query of a signed address is as good as a password
    shown = printable(address, 200) + ("?…" if mark else "")
    return f"{shown!r} is not the address of a server (expected http://host[:port] or https://host[:port])"

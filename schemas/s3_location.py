"""Defines places and objects of S3: reads them from the catalog's `s3_upload_path`, checks buckets and servers.

What a bucket's listing says is handed over in these terms, too, from whoever lists it to whoever makes a plan of it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from schemas.text import printable

# The rule that botocore applies to a bucket name before it sends anything.
_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
# Its rule for a region, less the line end that it lets pass.
_REGION = re.compile(r"(?![0-9]+$)(?!-)[A-Za-z0-9-]{1,63}(?<!-)")

_ENDPOINT_URL = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*/?)")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_MAX_HOST = 253
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectLocation:
    """Where an object is; `version_id` is None for the newest version."""

    bucket_name: str
    key: str
    version_id: str | None = None

    def __str__(self) -> str:
        version = f" (version {self.version_id})" if self.version_id else ""
        return f"s3://{self.bucket_name}/{self.key}{version}"


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as a bucket's listing shows it: its newest version.

    Args:
        key: its key.
        etag: as plans hold it if it has that form, else as S3 gives it; empty if it gives none.
        size_bytes: its size.
    """

    key: str
    etag: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPlace:
    """What is listed: a bucket, or what lies below a prefix in it.

    Args:
        bucket_name: the bucket.
        prefix: without slashes around it; empty for the whole bucket.
    """

    bucket_name: str
    prefix: str = ""

    @property
    def key_begin(self) -> str:
        """What every key in it begins with."""
        return f"{self.prefix}/" if self.prefix else ""

    def __str__(self) -> str:
        return f"s3://{self.bucket_name}/{self.key_begin}"


def explain_bad_bucket_name(bucket_name: str) -> str | None:
    """Return why this cannot be a bucket name; None if it can."""
    if _BUCKET_NAME.fullmatch(bucket_name) and bucket_name not in {".", ".."}:
        return None
    return f"{bucket_name[:80]!r} is not a bucket name (expected letters, digits, '.', '_' and '-')"


def reconstruct_s3_paths(s3_upload_path: str, relative_paths: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Return the bucket and the key of every file of an upload.

    Args:
        s3_upload_path: `bucket`, `bucket/`, `bucket/prefix/`, with or without `s3://` in front; doubled and missing
            slashes are tolerated.
        relative_paths: the keys of the catalog's `file_info`.

    Returns:
        The bucket name, and for each relative path its key: prefix + "/" + relative path.

    Raises:
        ValueError: the path names no bucket.

    >>> reconstruct_s3_paths("s3://bucket//prefix/", ["a.d/b"])
    ('bucket', {'a.d/b': 'prefix/a.d/b'})
    """
    without_scheme = re.sub(r"^s3:/*", "", s3_upload_path.strip(), flags=re.IGNORECASE)
    bucket_name, *prefix = [component for component in without_scheme.split("/") if component] or [""]
    if reason := explain_bad_bucket_name(bucket_name):
        raise ValueError(f"malformed s3_upload_path {s3_upload_path[:200]!r}: {reason}")
    return bucket_name, {path: "/".join([*prefix, path]) for path in relative_paths}


def explain_bad_region(region: str) -> str | None:
    """Return why this cannot be a region; None if it can, whether AWS has it or only the operator of another S3."""
    if _REGION.fullmatch(region):
        return None
    return f"{region[:80]!r} is not the name of a region (expected letters, digits and '-', as in eu-central-1)"


def explain_bad_endpoint_url(url: str) -> str | None:
    """Return why this cannot be the endpoint of S3, without showing a password that it may hold; None if it can.

    A host in any other form than these makes one of the S3 libraries fail, or each of them ask another server.
    """
    if "@" in url:
        return "it must not hold credentials: leave them to the AWS chain (environment, profile, instance role)"
    match = _ENDPOINT_URL.fullmatch(url)
    address, mark, _ = url.partition("?")  # the query of a signed address is as good as a password
    shown = repr(printable(address, 200) + ("?…" if mark else ""))
    if match is None and not url.isascii():
        return f"{shown} has letters beyond ASCII (write such a host in its xn--… form)"
    if match is None:
        return f"{shown} is not the address of a server (expected http://host[:port] or https://host[:port])"
    host, port, path = match.groups()
    if not _is_host(host) or not 1 <= int(port or 1) <= _MAX_PORT:
        return f"{shown} does not name a server (expected a DNS name or an IP address, and a port of 1 to {_MAX_PORT})"
    return f"{shown} has . or .. in its path" if {".", ".."} & set(path.split("/")) else None


def _is_host(host: str) -> bool:
    """Tell whether this is a DNS name, an IPv4 address of four numbers or an IPv6 address in brackets."""
    if host.startswith("["):
        return _is_address(host[1:-1], IPv6Address)
    labels = host.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _is_address(host, IPv4Address)
    return len(host) <= _MAX_HOST and all(_LABEL.fullmatch(label) and _is_decodable(label) for label in labels)


def _is_address(text: str, kind: type[IPv4Address | IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _is_decodable(label: str) -> bool:
    """Tell whether a label of the form xn--… stands for one beyond ASCII; any other label stands for itself."""
    encoded = label.lower()
    if not encoded.startswith("xn--"):
        return True
    try:
        decoded = encoded[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return False
    return not decoded.isascii() and decoded.isprintable() and decoded.encode("punycode").decode() == encoded[4:]

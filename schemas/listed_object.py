"""Holds what a bucket's listing says, between whoever lists a bucket and whoever makes a plan out of that."""

from dataclasses import dataclass


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

"""Defines how planner has a bucket listed. It knows no S3: a command hands it what does."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from schemas.s3_location import ListedObject, ListedPlace


class BucketListing(Protocol):
    """Lists a place on S3. Both methods raise S3UnansweredError where S3 gives no answer."""

    @property
    def place(self) -> ListedPlace:
        """What is listed."""

    def list_objects(self) -> Iterator[ListedObject]:
        """Yield every object, as page after page comes; no page is kept."""

    def first_part_sizes(self, objects: Sequence[ListedObject]) -> Iterator[int | None]:
        """Yield the size in bytes of each object's first part; None where S3 does not say it."""

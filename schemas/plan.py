"""Defines the plan as values: what `compile` resolves and `apply` executes. Frozen; change by `dataclasses.replace`.

Each attribute is the property of the same name in `plan.schema.json`, where it is described.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.paths import join_path


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file that can be restored: everything that apply needs to know about it."""

    relative_path: str
    s3_key: str
    expected_etag: str
    chunk_size_mb: int
    expected_size: int | None
    version_id: str | None = None
    expected_md5: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedFile:
    """A file that could not be resolved: it is reported, never attempted."""

    relative_path: str
    error: str
    s3_key: str | None = None
    expected_etag: str | None = None
    chunk_size_mb: int | None = None
    expected_size: int | None = None
    absolute_dest_path: str | None = None
    version_id: str | None = None
    expected_md5: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTotals:
    """How much there is to restore, and how much is skipped: the one place where the entries of a plan are counted.

    Args:
        raw_files: all that are named, skipped ones included.
        restored_raw_files: those with a file to be restored.
        skipped_raw_files: those that could not be resolved as a whole.
        files: those to be restored.
        skipped_files: those that could not be resolved, of raw files that are not skipped as a whole.
        size_bytes: of the files to be restored, as far as their sizes are known.
        unknown_sizes: how many of the files to be restored have no size in the plan.
        skipped_bytes: of the skipped files, as far as their sizes are known.
    """

    raw_files: int = 0
    restored_raw_files: int = 0
    skipped_raw_files: int = 0
    files: int = 0
    skipped_files: int = 0
    size_bytes: int = 0
    unknown_sizes: int = 0
    skipped_bytes: int = 0

    @property
    def entries(self) -> int:
        """What ends in exactly one way: every file, and every raw file that could not be resolved as a whole."""
        return self.files + self.skipped_files + self.skipped_raw_files

    def __add__(self, other: "PlanTotals") -> "PlanTotals":
        return PlanTotals(
            raw_files=self.raw_files + other.raw_files,
            restored_raw_files=self.restored_raw_files + other.restored_raw_files,
            skipped_raw_files=self.skipped_raw_files + other.skipped_raw_files,
            files=self.files + other.files,
            skipped_files=self.skipped_files + other.skipped_files,
            size_bytes=self.size_bytes + other.size_bytes,
            unknown_sizes=self.unknown_sizes + other.unknown_sizes,
            skipped_bytes=self.skipped_bytes + other.skipped_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFilePlan:
    """One raw file: resolved, with its files, or as a whole in `error`."""

    raw_file_id: str
    project_id: str | None
    destination_base: str | None
    bucket_name: str | None
    files: tuple[PlannedFile | UnresolvedFile, ...]
    error: str | None = None
    notes: tuple[str, ...] = ()

    def absolute_dest_path(self, file: PlannedFile) -> str:
        """Return where a file of this raw file is restored to."""
        if self.destination_base is None:
            raise ValueError(f"raw file {self.raw_file_id!r} has no destination_base")
        return join_path(self.destination_base, file.relative_path)

    def totals(self) -> PlanTotals:
        """Count what there is to restore of this raw file."""
        if self.error is not None:
            return PlanTotals(raw_files=1, skipped_raw_files=1)
        planned = [file for file in self.files if isinstance(file, PlannedFile)]
        return PlanTotals(
            raw_files=1,
            restored_raw_files=int(bool(planned)),
            files=len(planned),
            skipped_files=len(self.files) - len(planned),
            size_bytes=sum(file.expected_size or 0 for file in planned),
            unknown_sizes=sum(file.expected_size is None for file in planned),
            skipped_bytes=sum(file.expected_size or 0 for file in self.files if isinstance(file, UnresolvedFile)),
        )

    def unresolved(self, file: PlannedFile, error: str) -> UnresolvedFile:
        """Return a file of this raw file as one that cannot be restored, with all that is known about it."""
        return UnresolvedFile(
            relative_path=file.relative_path,
            error=error,
            s3_key=file.s3_key,
            expected_etag=file.expected_etag,
            chunk_size_mb=file.chunk_size_mb,
            expected_size=file.expected_size,
            absolute_dest_path=self.absolute_dest_path(file),
            version_id=file.version_id,
            expected_md5=file.expected_md5,
            notes=file.notes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """Where S3 is; None leaves it to the AWS chain (environment, profile, instance)."""

    region: str | None = None
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledFrom:
    """What a plan was compiled from, without credentials. For people; apply never looks there."""

    catalog: str
    config: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole plan; raw files in the order asked for.

    `plan_digest` is None only for a plan that has not been written or sealed yet.
    """

    output_location: str
    s3: S3Settings
    raw_files: tuple[RawFilePlan, ...]
    plan_digest: str | None = None
    created_at: str | None = None
    created_by: str | None = None
    compiled_from: CompiledFrom | None = None

    def planned_files(self) -> Iterator[tuple[RawFilePlan, PlannedFile]]:
        """Yield every file that can be restored, in the plan's order."""
        for raw_file in self.raw_files:
            if raw_file.error is None:
                yield from ((raw_file, file) for file in raw_file.files if isinstance(file, PlannedFile))

    def totals(self) -> PlanTotals:
        """Count what there is to restore."""
        return sum((raw_file.totals() for raw_file in self.raw_files), PlanTotals())

    def has_errors(self) -> bool:
        """Tell whether any raw file or file could not be resolved."""
        totals = self.totals()
        return totals.skipped_raw_files > 0 or totals.skipped_files > 0

    def has_notes(self) -> bool:
        """Tell whether there is a note on any raw file or file, which makes the plan one of format 1.1."""
        return any(raw_file.notes or any(file.notes for file in raw_file.files) for raw_file in self.raw_files)

"""The files of a plan as apply meets them: what S3 has, where it goes; each destination once."""

from collections.abc import Container, Iterator
from dataclasses import dataclass

from schemas.paths import path_below
from schemas.plan import Plan, PlannedFile, RawFilePlan
from schemas.s3_location import ObjectLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One file of the plan with the two places it concerns.

    Args:
        file: the plan's entry.
        location: the object on S3.
        destination: the plan's destination_base, relative to the output location.
        folder: the final folder, relative to the output location.
        name: the final name in it.
        notes: what the plan notes about its raw file, for people.
    """

    file: PlannedFile
    location: ObjectLocation
    destination: str
    folder: str
    name: str
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The final path, relative to the output location."""
        return f"{self.folder}/{self.name}".lstrip("/")

    @classmethod
    def of(cls, raw_file: RawFilePlan, file: PlannedFile, output_location: str) -> "Target":
        """Return the target of a planned file that the plan's rules have accepted."""
        return cls.at(raw_file.absolute_dest_path(file), raw_file, file, output_location)

    @classmethod
    def at(cls, path: str, raw_file: RawFilePlan, file: PlannedFile, output_location: str) -> "Target":
        """Return the same, with its absolute path at hand."""
        folder, _, name = path_below(path, output_location).rpartition("/")
        return cls(
            file=file,
            location=ObjectLocation(
                bucket_name=raw_file.bucket_name or "", key=file.s3_key, version_id=file.version_id
            ),
            destination=path_below(raw_file.destination_base or output_location, output_location),
            folder=folder,
            name=name,
            notes=raw_file.notes,
        )


def location_of(placed: tuple[list[int], Target]) -> ObjectLocation:
    """Return where the object of a file is that comes with its places in the plan."""
    return placed[1].location


def distinct_targets(plan: Plan, passed_over: Container[str | None] = ()) -> Iterator[tuple[list[int], Target]]:
    """Yield each file once, with its places in the plan: entries with one destination (and so one content) share it.

    Args:
        plan: as `read_plan` accepted it.
        passed_over: buckets whose files are left out.

    Returns:
        Places among `plan.planned_files()`, and the file as the first of them has it.
    """
    paths: list[str] = []
    places: dict[str, list[int]] = {}
    for index, (raw_file, file) in enumerate(plan.planned_files()):
        path = raw_file.absolute_dest_path(file)
        paths.append(path)
        if raw_file.bucket_name not in passed_over:
            places.setdefault(path, []).append(index)
    for index, (path, (raw_file, file)) in enumerate(zip(paths, plan.planned_files(), strict=True)):
        indices = places.get(path, [])
        if indices and index == indices[0]:
            yield indices, Target.at(path, raw_file, file, plan.output_location)

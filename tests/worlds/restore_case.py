"""Raw files that are backed up and catalogued, and where they are to be restored: one acceptance test's world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sample_data import (
    Document,
    RawFileSample,
    back_up,
    raw_file_document,
    write_export,
    write_sample,
    write_site_yaml,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def raw_file(
    raw_file_id: str, files: Mapping[str, tuple[bytes, int]], *, project_id: str = "PRID001", prefix: str = ""
) -> RawFileSample:
    """A raw file to be backed up: relative path -> (content, chunk_size_mb)."""
    return RawFileSample(
        raw_file_id=raw_file_id,
        project_id=project_id,
        contents={relative_path: content for relative_path, (content, _) in files.items()},
        chunk_sizes_mb={relative_path: chunk_size_mb for relative_path, (_, chunk_size_mb) in files.items()},
        prefix=prefix,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCase:
    """What was backed up, and where everything is.

    Attributes:
        folder: Everything of this case is below it.
        raw_files: As they were on the instrument; their files are kept below `folder / "source"`.
        buckets: project_id -> bucket.
        documents: The catalog's documents, free to be changed before `write_catalog` is called again.
        output_location: The site's output location; empty at first.
    """

    folder: Path
    raw_files: tuple[RawFileSample, ...]
    buckets: Mapping[str, str]
    documents: tuple[Document, ...]
    output_location: Path

    @property
    def export_path(self) -> Path:
        """The catalog as an exported file."""
        return self.folder / "raw_file.jsonl"

    @property
    def config_path(self) -> Path:
        """The site YAML."""
        return self.folder / "alphakraken.test.yaml"

    @property
    def raw_file_ids(self) -> list[str]:
        """The ids to ask for."""
        return [sample.raw_file_id for sample in self.raw_files]

    def bucket(self, project_id: str = "PRID001") -> str:
        """The project's bucket."""
        return self.buckets[project_id]

    def destination(self, project_id: str = "PRID001") -> Path:
        """Where the project's raw files go."""
        return self.output_location / project_id

    def reports(self, project_id: str = "PRID001") -> list[Path]:
        """The project's reports so far, oldest first."""
        return sorted(self.destination(project_id).glob("_download_status_batch_*.txt"))

    def write_catalog(self) -> None:
        """Write the documents, as they are now, to `export_path`."""
        write_export(self.export_path, self.documents)

    def unrestored(self) -> list[str]:
        """The files that are not at their destination byte for byte, as `PRID001/relative/path`."""
        return [
            str(PurePosixPath(sample.project_id, relative_path))
            for sample in self.raw_files
            for relative_path, content in sample.contents.items()
            if not _holds(self.destination(sample.project_id) / relative_path, content)
        ]


def build_restore_case(
    raw_files: Sequence[RawFileSample],
    *,
    client: "S3Client",
    folder: Path,
    buckets: Mapping[str, str],
    endpoint_url: str | None,
) -> RestoreCase:
    """Back the raw files up into existing buckets, and write their catalog export and the site YAML.

    Args:
        raw_files: What to back up.
        client: Talks to the server that has the buckets.
        folder: An existing folder for the case's files.
        buckets: project_id -> bucket, for every project among the raw files.
        endpoint_url: What the site YAML says; None to leave it out.
    """
    source_folders = [folder / "source" / str(number) for number in range(len(raw_files))]
    for sample, source_folder in zip(raw_files, source_folders, strict=True):
        write_sample(sample, source_folder)
        back_up(client, sample, bucket=buckets[sample.project_id], source_folder=source_folder)
    case = RestoreCase(
        folder=folder,
        raw_files=tuple(raw_files),
        buckets=buckets,
        documents=tuple(
            raw_file_document(sample, bucket=buckets[sample.project_id], source_folder=source_folder, number=number)
            for number, (sample, source_folder) in enumerate(zip(raw_files, source_folders, strict=True))
        ),
        output_location=folder / "output",
    )
    case.output_location.mkdir()
    case.write_catalog()
    write_site_yaml(
        case.config_path,
        output_location=case.output_location,
        region=client.meta.region_name,
        endpoint_url=endpoint_url,
    )
    return case


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content

"""Small plans, catalog documents and plan documents, right in all but what a test changes."""

import json
from datetime import UTC, datetime

from schemas.plan import CompiledFrom, Plan, PlannedFile, RawFilePlan, S3Settings, UnresolvedFile
from schemas.plan_file import serialize_plan

MD5 = "d8e8fca2dc0f896fd7cb4cb0031ba249"
OTHER_MD5 = "0123456789abcdef0123456789abcdef"
OUTPUT_LOCATION = "/out"
NOW = datetime(2026, 11, 23, 14, 30, 22, tzinfo=UTC)

JsonObject = dict[str, object]


def planned_file(relative_path: str = "sample.raw", etag: str = MD5, size: int | None = 3) -> PlannedFile:
    """A file that can be restored."""
    return PlannedFile(
        relative_path=relative_path, s3_key=relative_path, expected_etag=etag, chunk_size_mb=5, expected_size=size
    )


def planned_raw_file(
    raw_file_id: str = "sample.raw", *files: PlannedFile | UnresolvedFile, project_id: str = "PRID001"
) -> RawFilePlan:
    """A raw file of these files; of one, if none is given."""
    return RawFilePlan(
        raw_file_id=raw_file_id,
        project_id=project_id,
        destination_base=f"{OUTPUT_LOCATION}/{project_id}",
        bucket_name="alphakraken-prid001",
        files=files or (planned_file(raw_file_id),),
    )


def unresolved_raw_file(
    raw_file_id: str = "no_such_file", *files: PlannedFile, error: str = "RawFile not found in the catalog"
) -> RawFilePlan:
    """A raw file that could not be resolved as a whole."""
    return RawFilePlan(
        raw_file_id=raw_file_id, project_id=None, destination_base=None, bucket_name=None, files=files, error=error
    )


def make_plan(*raw_files: RawFilePlan) -> Plan:
    """A plan of these raw files; of one, if none is given."""
    return Plan(
        output_location=OUTPUT_LOCATION,
        s3=S3Settings(region="eu-central-1"),
        raw_files=raw_files or (planned_raw_file(),),
        created_at="2026-11-23T14:30:22Z",
        created_by="kraken-plan 0.1.0",
        compiled_from=CompiledFrom(catalog="raw_file.jsonl", config=None),
    )


def plan_bytes(plan: Plan) -> bytes:
    """The plan file of a plan, sealed."""
    return b"".join(serialize_plan(plan))


def plan_document(*raw_files: RawFilePlan) -> JsonObject:
    """A plan as JSON, without a digest, to be changed at will."""
    document: JsonObject = json.loads(plan_bytes(make_plan(*raw_files)))
    del document["plan_digest"]
    return document


def first_raw_file(document: JsonObject) -> JsonObject:
    """The first raw file of a plan document."""
    raw_files = document["raw_files"]
    assert isinstance(raw_files, dict)
    raw_file: JsonObject = next(iter(raw_files.values()))
    return raw_file


def first_file(document: JsonObject) -> JsonObject:
    """The first file of a plan document."""
    files = first_raw_file(document)["files"]
    assert isinstance(files, list)
    file: JsonObject = files[0]
    return file


def catalog_document(raw_file_id: str = "sample.raw", **changes: object) -> JsonObject:
    """A document of the catalog with one file; a field that is changed to `...` is left out."""
    document: JsonObject = {
        "_id": raw_file_id,
        "project_id": "PRID001",
        "s3_upload_path": "s3://alphakraken-prid001/",
        "file_info": {raw_file_id: [3.0, OTHER_MD5, f"{MD5}__5"]},
    }
    return {name: value for name, value in {**document, **changes}.items() if value is not ...}

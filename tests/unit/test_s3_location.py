"""`s3_upload_path` in all the forms that a catalog holds."""

import pytest

from schemas.s3_location import explain_bad_bucket_name, reconstruct_s3_paths


@pytest.mark.parametrize(
    "s3_upload_path",
    [
        "bucket",
        "bucket/",
        "bucket//",
        "s3://bucket",
        "s3://bucket/",
        "s3:/bucket/",
        "s3:bucket",
        "S3://bucket",
        " s3://bucket ",
    ],
)
def test_reconstruct_s3_paths_should_read_a_bucket_alone(s3_upload_path: str) -> None:
    assert reconstruct_s3_paths(s3_upload_path, ["a.d/b"]) == ("bucket", {"a.d/b": "a.d/b"})


@pytest.mark.parametrize(
    "s3_upload_path",
    ["bucket/pre/fix", "bucket/pre/fix/", "s3://bucket/pre/fix/", "s3://bucket//pre//fix//", "s3:///bucket/pre/fix"],
)
def test_reconstruct_s3_paths_should_put_the_prefix_before_every_key(s3_upload_path: str) -> None:
    keys = {"a.d/b": "pre/fix/a.d/b", "c": "pre/fix/c"}
    assert reconstruct_s3_paths(s3_upload_path, ["a.d/b", "c"]) == ("bucket", keys)


def test_reconstruct_s3_paths_should_leave_the_relative_path_as_it_is() -> None:
    assert reconstruct_s3_paths("b", ["a//b", "ä b?#%"])[1] == {"a//b": "a//b", "ä b?#%": "ä b?#%"}


@pytest.mark.parametrize(
    "s3_upload_path", ["", "/", "s3://", "s3:///", "..", "s3://buck et/x", "https://bucket/x", "bück"]
)
def test_reconstruct_s3_paths_should_refuse_what_names_no_bucket(s3_upload_path: str) -> None:
    with pytest.raises(ValueError, match="malformed s3_upload_path"):
        reconstruct_s3_paths(s3_upload_path, ["a"])


@pytest.mark.parametrize(
    ("name", "usable"),
    [("Alphakraken-PRID001", True), ("a.b_c", True), ("", False), ("..", False), ("a/b", False), ("a\n", False)],
)
def test_bucket_names_should_be_those_that_botocore_sends(name: str, usable: bool) -> None:  # noqa: FBT001  # a row of the table
    assert (explain_bad_bucket_name(name) is None) is usable

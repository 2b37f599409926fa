import hashlib

import pytest

from applier.restore.decide import Action, LocalKind, LocalState, decide, judge_local, judge_s3
from applier.s3.protocol import ObjectInfo
from schemas.etag import MIB, Etag
from schemas.plan import PlannedFile
from schemas.results import Failure, FailureKind

MD5 = "307dfc986f0570804c1ffb2d54b872a3"
AS_ONE_PART = hashlib.md5(bytes.fromhex(MD5)).hexdigest() + "-1"
OTHER = "4034a346ccee15292d823416f7510a2f"


def planned(etag: str = MD5, size: int | None = 1000, chunk_size_mb: int = 5) -> PlannedFile:
    return PlannedFile(
        relative_path="f", s3_key="f", expected_etag=etag, chunk_size_mb=chunk_size_mb, expected_size=size
    )


def judged(file: PlannedFile, etag: str, size_bytes: int = 1000) -> FailureKind | None:
    failure = judge_s3(file, ObjectInfo(etag=etag, size_bytes=size_bytes))
    return failure.kind if failure else None


def test_s3_verification_should_accept_a_match() -> None:
    assert judged(planned(), MD5) is None
    assert judged(planned(f"{MD5}-2", 6 * MIB), f"{MD5}-2", 6 * MIB) is None


def test_s3_verification_should_name_both_etags_of_a_mismatch() -> None:
    failure = judge_s3(planned(), ObjectInfo(etag=OTHER, size_bytes=1000))

    assert failure is not None
    assert failure.message == f"S3 corruption detected (etag mismatch: S3 {OTHER}, expected {MD5})"


@pytest.mark.parametrize(("expected", "found"), [(MD5, AS_ONE_PART), (AS_ONE_PART, MD5)])
def test_s3_verification_should_accept_both_forms_of_one_part(expected: str, found: str) -> None:
    assert judged(planned(expected), found) is None


def test_s3_verification_should_refuse_another_one_part_etag() -> None:
    assert judged(planned(), f"{MD5}-1") is FailureKind.S3_CORRUPTION


def test_s3_verification_should_refuse_another_size() -> None:
    assert judged(planned(), MD5, 1001) is FailureKind.S3_CORRUPTION
    assert judged(planned(size=None), MD5, 1001) is None


def test_s3_verification_should_refuse_an_etag_that_is_not_made_of_the_bytes() -> None:
    assert judged(planned(), "not-an-md5") is FailureKind.NOT_VERIFIABLE
    assert judged(planned(), "") is FailureKind.NOT_VERIFIABLE


def test_s3_verification_should_refuse_a_size_of_unknown_that_can_never_verify() -> None:
    assert judged(planned(f"{MD5}-2", None), f"{MD5}-2", 20 * MIB) is FailureKind.NOT_VERIFIABLE


def test_local_verification_should_tell_match_from_mismatch() -> None:
    assert judge_local(planned(), Etag.parse(MD5)).kind is LocalKind.RIGHT
    assert judge_local(planned(), Etag.parse(OTHER)) == LocalState(LocalKind.WRONG, f"etag {OTHER}, expected {MD5}")
    # the plan's own form is computed locally: the other form would be another computation
    assert judge_local(planned(), Etag.parse(AS_ONE_PART)).kind is LocalKind.WRONG


def test_decision_should_follow_from_what_stands_there() -> None:
    assert decide(LocalState(LocalKind.RIGHT)) is Action.SKIP
    assert decide(LocalState(LocalKind.ABSENT)) is Action.DOWNLOAD
    assert decide(LocalState(LocalKind.WRONG, "short")) is Action.HEAL
    assert decide(LocalState(LocalKind.UNUSABLE, "a FIFO")) == Failure(FailureKind.CANNOT_WRITE, "a FIFO")

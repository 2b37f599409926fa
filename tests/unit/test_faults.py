"""What S3's answers stand for: the kind of fault, and advice that is right for it."""

import pytest

from applier.s3.faults import BAD_CREDENTIALS_CODES, fault_of_answer
from applier.s3.obstore_faults import fault_of_text
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation

OBJECT = ObjectLocation(bucket_name="b", key="k")
BUCKET = ObjectLocation(bucket_name="b", key="")
PINNED = ObjectLocation(bucket_name="b", key="k", version_id="v")


@pytest.mark.parametrize("code", ["", "AccessDenied"])
@pytest.mark.parametrize(("location", "action"), [(OBJECT, "s3:GetObject,"), (PINNED, "s3:GetObjectVersion,")])
def test_a_denial_should_name_the_permission_that_the_request_needs(
    location: ObjectLocation, action: str, code: str
) -> None:
    failure = fault_of_answer(location, 403, code).failure
    assert failure.kind is FailureKind.ACCESS_DENIED
    assert f"not permitted to these credentials: {action} s3:ListBucket" in failure.detail


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("SecondLevelDomainForbidden", " (this S3 refuses requests in path style, and kraken-plan makes no others)"),
        ("AccountProblem", ""),
    ],
)
def test_a_403_with_another_code_should_not_be_blamed_on_permissions(code: str, advice: str) -> None:
    failure = fault_of_answer(OBJECT, 403, code).failure
    assert failure.kind is FailureKind.ACCESS_DENIED
    assert failure.detail == f"s3://b/k: S3 answered 403 {code}{advice}"


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("code", ["TokenRefreshRequired", "RequestExpired", "InvalidTokenId", "ExpiredToken"])
def test_credentials_that_have_expired_should_be_called_that_whatever_the_status(status: int, code: str) -> None:
    fault = fault_of_answer(OBJECT, status, code)
    assert fault.failure.kind is FailureKind.ACCESS_DENIED
    assert not fault.transient
    assert fault.failure.detail.endswith("log in again, then apply again)")
    assert code in BAD_CREDENTIALS_CODES  # the run does not go on asking


@pytest.mark.parametrize("code", ["<Code>SlowDown</Code>", "<s3:Code> SlowDown </s3:Code>"])
def test_the_code_of_an_error_should_be_read_with_a_namespace_too(code: str) -> None:
    fault = fault_of_text(OBJECT, f"Server returned non-2xx status code: 503: <Error>{code}</Error>", "")
    assert (fault.code, fault.transient) == ("SlowDown", True)


def test_a_key_that_cannot_be_used_should_be_named_and_a_throttled_one_retried() -> None:
    said = "Server returned non-2xx status code: 400 Bad Request: <Error><Code>KMS.DisabledException</Code></Error>"
    disabled = fault_of_text(OBJECT, said, "")
    assert (disabled.code, disabled.failure.kind) == ("KMS.DisabledException", FailureKind.ACCESS_DENIED)
    assert "KMS.DisabledException (the KMS key that encrypts it is disabled, gone" in disabled.failure.detail
    assert fault_of_answer(OBJECT, 400, "KMS.ThrottlingException").transient


def test_only_an_object_can_be_encrypted_with_a_customers_key() -> None:
    assert fault_of_answer(OBJECT, 400, "InvalidRequest").failure.kind is FailureKind.NOT_VERIFIABLE
    bucket = fault_of_answer(BUCKET, 400, "InvalidRequest").failure
    assert (bucket.kind, bucket.detail) == (FailureKind.NETWORK, "s3://b/: S3 answered 400 InvalidRequest")

"""Explains how a request to S3 fails: what kind of fault it is, whether it may pass, and what to do about it."""

from schemas.results import Failure, FailureKind
from schemas.s3_location import ObjectLocation


class S3Fault(Exception):  # noqa: N818  # the field's word: faults are transient or final
    """A request to S3 failed.

    Args:
        kind: what kind of fault it is.
        detail: what was found, and where it helps what to do.
        transient: whether the same request may succeed later.
        status: the HTTP status of S3's answer; 0 if there was none.
        code: S3's own error code; empty if the answer had none (as with every HEAD).
    """

    def __init__(
        self, kind: FailureKind, detail: str, *, transient: bool = False, status: int = 0, code: str = ""
    ) -> None:
        self.failure = Failure(kind, detail)
        self.transient = transient
        self.status, self.code = status, code
        super().__init__(self.failure.message)


def changed_during_download(location: ObjectLocation, found: str) -> S3Fault:
    """Return the fault of an object that is no longer the one that was checked."""
    return S3Fault(FailureKind.VERIFICATION, _changed(location, found))


def _changed(location: ObjectLocation, found: str) -> str:
    return f"{location} changed during the download: {found}"


def wrong_range(location: ObjectLocation) -> S3Fault:
    """Return the (transient) fault of an answer with other bytes than those asked for, more or fewer."""
    return S3Fault(FailureKind.NETWORK, f"{location}: the answer is not the range asked for", transient=True)


def no_answer_in_time(location: ObjectLocation) -> S3Fault:
    """Return the (transient) fault of an answer that has not come, or not come to its end."""
    return S3Fault(FailureKind.TIMEOUT, f"{location}: no answer in time", transient=True)


def archived(location: ObjectLocation, storage_class: str, restore: str = "") -> str:
    """Return what is to be said of an object whose bytes must be brought back from an archive before they can be read.

    Args:
        location: the object.
        storage_class: where it is archived.
        restore: S3's `x-amz-restore` header, empty if no restore was requested:
            https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    todo = (
        "its restore is under way, apply again when it is done"
        if 'ongoing-request="true"' in restore
        else "request a restore (aws s3api restore-object), then apply again"
    )
    return f"{storage_class}: {location}: {todo}"


# Said in place of a storage class that is not known.
COLD = "a cold storage class"

# S3's own error codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_TRANSIENT_CODES = frozenset(
    {"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "TooManyRequests"}
    | {"BadGateway", "Throttling", "ThrottlingException", "RequestLimitExceeded", "503 SlowDown"}
)
# With these no request can succeed until somebody does something about it.
BAD_CREDENTIALS_CODES = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
_THROTTLING_CODES = frozenset({"SlowDown", "Throttling"})
_THROTTLING_STATUS = frozenset({429, 503})
_TRANSIENT_STATUS = _THROTTLING_STATUS | {408}
_SERVER_ERROR = 500
_DENIED_STATUS = frozenset({401, 403})
# With these a HEAD, which has no error code, leaves open what is the matter: S3 says 400 to expired credentials too.
VAGUE_STATUS = _DENIED_STATUS | {400}


def fault_of_answer(location: ObjectLocation, status: int, code: str) -> S3Fault:
    """Return the fault that an HTTP answer with an error stands for.

    Args:
        location: what was asked for.
        status: the HTTP status.
        code: S3's error code, empty if the answer had none.
    """
    said = f"{location}: S3 answered {status}" + (f" {code}" if code else "")
    transient = status >= _SERVER_ERROR or status in _TRANSIENT_STATUS or code in _TRANSIENT_CODES
    if transient and (status in _THROTTLING_STATUS or code in _THROTTLING_CODES):
        said += " (throttled)"
    kind, detail = (FailureKind.NETWORK, said) if transient else _meaning(location, status, code, said)
    return S3Fault(kind, detail, transient=transient, status=status, code=code)


def _meaning(  # noqa: PLR0911  # a table
    location: ObjectLocation, status: int, code: str, said: str
) -> tuple[FailureKind, str]:
    """Return what a final answer says of the object; by the code where there is one, for servers differ in status."""
    if code == "NoSuchBucket":
        return FailureKind.BUCKET_MISSING, location.bucket_name
    if code == "InvalidObjectState":
        return FailureKind.ARCHIVED, archived(location, COLD)
    if code in BAD_CREDENTIALS_CODES or status in _DENIED_STATUS:
        return FailureKind.ACCESS_DENIED, said + _advice(code)
    if code == "InvalidRequest":
        return FailureKind.NOT_VERIFIABLE, f"{said} (encrypted with a customer's key, SSE-C?)"
    match status:
        case 404:
            return FailureKind.KEY_NOT_FOUND, str(location)
        case 412:
            return FailureKind.VERIFICATION, _changed(location, "its etag is no longer the one that was checked")
        case _:
            return FailureKind.NETWORK, said


def _advice(code: str) -> str:
    match code:
        case "ExpiredToken" | "TokenRefreshRequired" | "RequestExpired":
            return " (the credentials have expired: log in again, then apply again)"
        case "RequestTimeTooSkewed":
            return " (this machine's clock is wrong: set it, then apply again)"
        case "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken":
            return " (the credentials are not those of this S3: check profile, keys and endpoint)"
        case _:
            return " (missing, or not permitted to these credentials: s3:GetObject, s3:ListBucket)"

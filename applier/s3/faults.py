"""Explains how a request to S3 fails: what kind of fault it is, whether it may pass, and what to do about it."""

import re

from schemas.results import Failure, FailureKind
from schemas.s3_location import ObjectLocation
from schemas.text import printable


class S3Fault(Exception):  # noqa: N818  # the field's word: faults are transient or final
    """A request to S3 failed.

    Args:
        kind: what kind of fault it is.
        detail: what was found and, where it helps, what to do.
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


_SCHEME_AND_HOST = re.compile(r"(\w{1,20}://)(?:[^/?#@]*@)?([^/?#@]*)")
_ONGOING = re.compile(r'ongoing-request\s*=\s*"?(true|false)\b', re.IGNORECASE)
_PERMANENT_REDIRECTS = frozenset({301, 308})
_PASSING_REDIRECTS = frozenset({302, 303, 307})

# Why TLS fails, whichever library says so.
UNKNOWN_CA = "the certificate is signed by an unknown CA (a private one is named with AWS_CA_BUNDLE)"
EXPIRED_CERTIFICATE = "the certificate has expired, or this machine's clock is wrong"
FUTURE_CERTIFICATE = "the certificate is not valid yet, or this machine's clock is wrong"
OTHER_HOST = "the certificate is made out to another host"
NO_TLS = "the server does not speak it (check --endpoint-url)"


def changed_during_download(location: ObjectLocation, found: str) -> S3Fault:
    """Return the fault of an object that is no longer the one that was checked."""
    return S3Fault(FailureKind.VERIFICATION, _changed(location, found))


def _changed(location: ObjectLocation, found: str) -> str:
    return f"{location} changed during the download: {found}"


def wrong_range(location: ObjectLocation) -> S3Fault:
    """Return the (transient) fault of an answer with other bytes than those asked for, more or fewer."""
    return S3Fault(
        FailureKind.NETWORK, f"{location}: a bad answer: it is not the range that was asked for", transient=True
    )


def missing_etag(location: ObjectLocation) -> S3Fault:
    """Return the fault of bytes that come without an etag: they could be of any version of the object."""
    return S3Fault(
        FailureKind.NOT_VERIFIABLE,
        f"{location}: S3 sent no ETag with the range, so its bytes may be of another version (does a proxy drop it?)",
    )


def bad_answer(location: ObjectLocation, found: str) -> S3Fault:
    """Return the (transient) fault of an answer that is not S3's."""
    return S3Fault(FailureKind.NETWORK, f"{location}: a bad answer: {found}", transient=True)


def redirected(location: ObjectLocation, status: int, target: str) -> S3Fault:
    """Return the fault of an answer that sends us to another address, where credentials must not go.

    Args:
        location: what was asked for.
        status: the HTTP status; a permanent redirect is final, any other may be a portal's that passes.
        target: the address, as the answer gave it.
    """
    found = _SCHEME_AND_HOST.match(target)
    shown = printable(found[1] + found[2], 200) if found else "another path"
    return S3Fault(
        FailureKind.NETWORK,
        f"{location}: a bad answer: a redirect to {shown}, which is not followed (check --endpoint-url and --region)",
        transient=status not in _PERMANENT_REDIRECTS,
        status=status,
    )


def tls_failed(location: ObjectLocation, reason: str, *, transient: bool = False) -> S3Fault:
    """Return the fault of a connection that cannot be secured; a transient one where that may pass."""
    return S3Fault(FailureKind.NETWORK, f"{location}: TLS: {reason}", transient=transient)


def no_answer_in_time(location: ObjectLocation, route: str = "") -> S3Fault:
    """Return the (transient) fault of an answer that has not come, or not come to its end; see `Network` for routes."""
    return S3Fault(FailureKind.TIMEOUT, f"{location}: no answer in time{route}", transient=True)


def archived(location: ObjectLocation, storage_class: str, restore: str = "") -> Failure:
    """Return the failure of an object that must be restored from an archive before it can be read.

    Args:
        location: the object.
        storage_class: where it is archived.
        restore: see `current_restore`.
    """
    if restore:  # also where it was done a moment after the bytes were asked for
        detail = f"{storage_class}: {location}: its restore is under way, apply again when it is done"
        return Failure(FailureKind.THAWING, detail)
    todo = "request a restore (kraken-plan thaw, or aws s3api restore-object), then apply again"
    return Failure(FailureKind.ARCHIVED, f"{storage_class}: {location}: {todo}")


def being_restored(restore: str) -> bool | None:
    """Tell whether a restore is under way or done, by S3's `x-amz-restore` header; None if it says neither."""
    found = _ONGOING.search(restore)
    return found[1].lower() == "true" if found else None


# Stands in for a storage class that is not known.
COLD = "a cold storage class"

# S3's own error codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_TRANSIENT_CODES = frozenset(
    {"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "TooManyRequests"}
    | {"BadGateway", "Throttling", "ThrottlingException", "RequestLimitExceeded", "503 SlowDown"}
    | {"KMS.ThrottlingException"}
)
_KEY_SERVICE = "KMS."  # S3 passes on the codes of the service that keeps the keys
# Ours, in place of a code of S3's: no request could be signed.
NO_CREDENTIALS = "NoCredentials"
# With these, no request can succeed until somebody acts.
BAD_CREDENTIALS_CODES = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
    | {"InvalidTokenId", "RequestExpired", "TokenRefreshRequired", NO_CREDENTIALS}
)
# With these, and where a HEAD has none, a permission may be missing; any other 403 is about something else.
MISSING_PERMISSION_CODES = frozenset({"", "AccessDenied"})
_THROTTLING_CODES = frozenset({"SlowDown", "Throttling", "KMS.ThrottlingException"})
_THROTTLING_STATUS = frozenset({429, 503})
_TRANSIENT_STATUS = _THROTTLING_STATUS | {408}
_SERVER_ERROR = 500
_NOT_SUPPORTED_STATUS = frozenset({501, 505})  # of a server that does not have what was asked for, and never will
_DENIED_STATUS = frozenset({401, 403})
# Never S3's own: https://www.rfc-editor.org/rfc/rfc9110#status.407 and https://www.rfc-editor.org/rfc/rfc6585#section-6
_IN_BETWEEN = {
    407: "the proxy wants a login, or another one: http://user:password@host:port in HTTPS_PROXY or HTTP_PROXY",
    511: "a portal on the way wants a login, as in a browser",
}
# A HEAD has no error code, so these statuses leave the reason open: S3 answers 400 to expired credentials, too.
VAGUE_STATUS = _DENIED_STATUS | {400}


def fault_of_answer(location: ObjectLocation, status: int, code: str) -> S3Fault:
    """Return the fault that an HTTP error stands for.

    Args:
        location: what was asked for.
        status: the HTTP status.
        code: S3's error code, empty if the answer had none.
    """
    if status in _PASSING_REDIRECTS:
        return bad_answer(location, f"a redirect ({status}) to no address")
    said = f"{location}: {explain_in_between(status) or f'S3 answered {status} {code}'.rstrip()}"
    transient = status >= _SERVER_ERROR or status in _TRANSIENT_STATUS or code in _TRANSIENT_CODES
    transient = transient and status not in _NOT_SUPPORTED_STATUS
    if transient and (status in _THROTTLING_STATUS or code in _THROTTLING_CODES):
        said += " (throttled)"
    kind, detail = (FailureKind.NETWORK, said) if transient else _meaning(location, status, code, said)
    return S3Fault(kind, detail, transient=transient, status=status, code=code)


def explain_in_between(status: int) -> str | None:
    """Return what a proxy or portal means by a status that only such a one gives; None for all others."""
    return f"{_IN_BETWEEN[status]} (status {status})" if status in _IN_BETWEEN else None


def tunnel_refused(location: ObjectLocation, status: int, route: str) -> S3Fault:
    """Return the fault of a proxy that opens no connection to S3 and says why; see `Network` for routes."""
    reason = explain_in_between(status) or f"the proxy refuses it (status {status}): ask who runs it, or set NO_PROXY"
    return S3Fault(FailureKind.NETWORK, f"{location}: cannot connect{route}: {reason}", status=status)


def _meaning(  # noqa: PLR0911  # a table
    location: ObjectLocation, status: int, code: str, said: str
) -> tuple[FailureKind, str]:
    """Return what a final answer says about the object; by its code if it has one, because servers differ in status."""
    if code == "NoSuchBucket":
        return FailureKind.BUCKET_MISSING, location.bucket_name
    if code == "InvalidObjectState":
        failure = archived(location, COLD)
        return failure.kind, failure.detail
    if code in BAD_CREDENTIALS_CODES or status in _DENIED_STATUS or code.startswith(_KEY_SERVICE):
        return FailureKind.ACCESS_DENIED, said + _advice(code, location)
    if code == "AuthorizationHeaderMalformed":
        return FailureKind.NETWORK, f"{said} (the region is likely not this server's: check --region)"
    if code == "InvalidRequest" and location.key:
        return FailureKind.NOT_VERIFIABLE, f"{said} (encrypted with a customer's key, SSE-C?)"
    match status:
        case 400 if not code:
            return FailureKind.NETWORK, f"{said}, not in S3's words (check the endpoint: http:// or https://?)"
        case 404:
            return FailureKind.KEY_NOT_FOUND, str(location)
        case 501 | 505:
            return FailureKind.NETWORK, f"{said} (this S3 does not support what was asked of it)"
        case 412:
            return FailureKind.VERIFICATION, _changed(location, "its etag is no longer the one that was checked")
        case _:
            return FailureKind.NETWORK, said


def _advice(code: str, location: ObjectLocation) -> str:  # noqa: PLR0911  # a table
    if code in MISSING_PERMISSION_CODES:
        action = "s3:GetObjectVersion" if location.version_id else "s3:GetObject"
        in_between = "" if code else "; or refused by a proxy or portal in between"
        return f" (missing, or not permitted to these credentials: {action}, s3:ListBucket{in_between})"
    if code.startswith(_KEY_SERVICE):
        return " (the KMS key that encrypts it is disabled, gone, or not permitted to these credentials)"
    match code:
        case "ExpiredToken" | "TokenRefreshRequired" | "RequestExpired":
            return " (the credentials have expired: log in again, then apply again)"
        case "RequestTimeTooSkewed":
            return " (this machine's clock is wrong: set it, then apply again)"
        case "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken":
            return " (the credentials are not those of this S3: check profile, keys and endpoint)"
        case "InvalidTokenId":
            return " (the session token has expired, or is not one of this S3: log in again, then apply again)"
        case "SecondLevelDomainForbidden":
            return " (this S3 refuses requests in path style, and kraken-plan makes no others)"
        case _:
            return ""

"""Explains why a request that urllib3 sent got no answer, or none that makes sense."""

import re
from http.client import HTTPException, RemoteDisconnected

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from applier.s3.faults import (
    EXPIRED_CERTIFICATE,
    FUTURE_CERTIFICATE,
    NO_TLS,
    OTHER_HOST,
    UNKNOWN_CA,
    S3Fault,
    bad_answer,
    no_answer_in_time,
    tls_failed,
    tunnel_refused,
)
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation

# OpenSSL's own words: https://docs.openssl.org/master/man1/openssl-verification-options/
_TLS_REASONS = {
    "self-signed certificate": UNKNOWN_CA,
    "self signed certificate": UNKNOWN_CA,
    "unable to get local issuer": UNKNOWN_CA,
    "unable to get issuer": UNKNOWN_CA,
    "certificate has expired": EXPIRED_CERTIFICATE,
    "certificate is not yet valid": FUTURE_CERTIFICATE,
    "mismatch": OTHER_HOST,
    "is not valid for": OTHER_HOST,
    "WRONG_VERSION_NUMBER": NO_TLS,
    "RECORD_LAYER_FAILURE": NO_TLS,
    "UNEXPECTED_MESSAGE": NO_TLS,
}
# Bytes were lost or damaged on the way, or the server had a bad moment: the next connection may be well.
_PASSING_TLS_FAULTS = re.compile(r"EOF|BAD_RECORD_MAC|DECRYPTION_FAILED|DECODE_ERROR|DECRYPT_ERROR|INTERNAL_ERROR")
# http.client's words for a proxy that will not connect, whoever asks again.
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (40[0-7])")


def fault_of_error(location: ObjectLocation, error: Exception, route: str) -> S3Fault:  # noqa: PLR0911  # a table
    """Return the fault that an error of urllib3's stands for.

    Args:
        location: what was asked for.
        error: what was raised while it was asked, or while the answer was read.
        route: see `Network.describe_route`.
    """
    match error:
        case SSLError():
            text = str(error)
            return tls_failed(location, _explain_tls(text), transient=_PASSING_TLS_FAULTS.search(text) is not None)
        case ProxyError() if found := _TUNNEL_REFUSED.search(str(error)):
            return tunnel_refused(location, int(found[1]), route)
        case NameResolutionError() | ProxyError(original_error=NameResolutionError()):
            words = f"{location}: cannot connect{route}: the host name is not known"
            return S3Fault(FailureKind.NETWORK, words, transient=True)
        case ProxyError() | NewConnectionError():
            return S3Fault(FailureKind.NETWORK, f"{location}: cannot connect{route}", transient=True)
        case ConnectTimeoutError() | ReadTimeoutError() | TimeoutError():
            return no_answer_in_time(location, route)
        case IncompleteRead():
            return S3Fault(FailureKind.NETWORK, f"{location}: the answer broke off", transient=True)
        case ProtocolError(args=(_, HTTPException() as cause)) if not isinstance(cause, RemoteDisconnected):
            return bad_answer(location, "it is not HTTP")
        case HTTPError() | OSError():
            return S3Fault(FailureKind.NETWORK, f"{location}: the connection broke off{route}", transient=True)
        case _:
            return bad_answer(location, "it is not HTTP")


def _explain_tls(text: str) -> str:
    """Return why TLS fails, from OpenSSL's words."""
    for words, reason in _TLS_REASONS.items():
        if words in text:
            return reason
    found = re.search(r"\[SSL: (\w{1,60})", text)
    return found[1].replace("_", " ").lower() if found else "no secure connection"

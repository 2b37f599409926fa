"""Reads from obstore's error texts what failed: they are the only place where it stands."""

import re
from collections.abc import Callable
from typing import TypeVar

from applier.s3.faults import (
    EXPIRED_CERTIFICATE,
    FUTURE_CERTIFICATE,
    NO_TLS,
    OTHER_HOST,
    UNKNOWN_CA,
    S3Fault,
    bad_answer,
    fault_of_answer,
    missing_etag,
    no_answer_in_time,
    tls_failed,
)
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation
from schemas.text import printable

T = TypeVar("T")

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<(?:\w{1,20}:)?Code>\s*([\w.]{1,64})\s*</")
_KIND = re.compile(r"\bkind: (\w+)")
_IN_WORDS = {
    "Connect": "cannot connect",
    "Request": "the connection broke off",
    "Interrupted": "the connection broke off",
    "Decode": "the answer broke off",
}
# rustls' own names: https://docs.rs/rustls/latest/rustls/enum.Error.html
_TLS = re.compile(r"\b(InvalidCertificate|InvalidMessage|AlertReceived)\(\s*(\w+)")
_TLS_IN_WORDS = {
    "UnknownIssuer": UNKNOWN_CA,
    "Expired": EXPIRED_CERTIFICATE,
    "NotValidYet": FUTURE_CERTIFICATE,
    "NotValidForName": OTHER_HOST,
    "InvalidMessage": NO_TLS,
}
# What the server says of bytes that were damaged on the way, or of a bad moment: the next connection may be well.
_PASSING_ALERTS = frozenset({"BadRecordMac", "DecodeError", "DecryptError", "InternalError", "CloseNotify"})


class ObstoreFault(S3Fault):
    """obstore cannot take what S3 sent, or cannot agree with it on TLS; another client may."""


def fault_of_text(location: ObjectLocation, text: str, route: str) -> S3Fault:  # noqa: PLR0911  # a table
    """Return the fault that an error of obstore's stands for.

    Args:
        location: what was asked for.
        text: the error's text.
        route: see `Network.describe_route`.
    """
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return fault_of_answer(location, int(status[1]), code[1] if code else "")
    if tls := _TLS.search(text):
        reason = next((words for name, words in _TLS_IN_WORDS.items() if name in tls[0]), f"{tls[1]} {tls[2]}")
        if tls[2] in _PASSING_ALERTS:
            return tls_failed(location, reason, transient=True)
        return _of_obstore(tls_failed(location, reason))
    if "ETag Header missing" in text:
        return missing_etag(location)
    found = _KIND.search(text)
    kind = found[1] if found else ""
    if kind == "Timeout":
        return no_answer_in_time(location, route)
    if not kind or "Parse(" in text:
        said = text.partition("Debug source:")[0].strip().removeprefix("Generic S3 error: ")
        return _of_obstore(bad_answer(location, "it is not HTTP" if kind else said))
    if "TooManyRedirects" in text:
        return bad_answer(location, "S3 redirects without end")
    words = _IN_WORDS.get(kind, "the connection failed")
    return S3Fault(FailureKind.NETWORK, f"{location}: {words}{route}", transient=True)


def _of_obstore(fault: S3Fault) -> ObstoreFault:
    return ObstoreFault(fault.failure.kind, fault.failure.detail, transient=fault.transient)


def without_panic(question: Callable[[], T]) -> T:
    """Ask obstore, and turn a panic of the Rust library into an error.

    Raises:
        ValueError: it panicked.
    """
    try:
        return question()
    except Exception:
        raise
    except BaseException as panic:
        if type(panic).__module__ != "pyo3_runtime":
            raise  # the operator's interruption
        raise ValueError(f"the S3 library failed: {first_line(str(panic))}") from panic


def first_line(text: str) -> str:
    """Return how a text of obstore's begins; what follows is for its developers."""
    return printable(text.partition("\n")[0], 200)

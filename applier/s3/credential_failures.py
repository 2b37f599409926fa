"""Explains why the AWS chain gives no credentials, and what to do, in words that hold no secret.

botocore's own words are used only where they are about names in a configuration: elsewhere they repeat what a helper
or a service said.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import (
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidConfigError,
    LoginError,
    MetadataRetrievalError,
    MissingDependencyException,
    PartialCredentialsError,
    ProfileNotFound,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from applier.s3.credential_process import CredentialProcessError
from schemas.errors import ConfigError
from schemas.text import printable

if TYPE_CHECKING:
    from botocore.session import Session

# For all that one attempt may ask: a helper, SSO, STS, the metadata of a host or container, a person at the terminal.
MAX_SECONDS = 60.0


class NoTerminalError(Exception):
    """A role asks for an MFA code where nobody can give one."""


class TooLateError(Exception):
    """An attempt did not end in time."""


def explain(error: Exception, profile: str) -> str:  # noqa: PLR0911  # a table
    """Return why there are no credentials and what to do, in words that hold no secret.

    Args:
        error: what the AWS chain raised.
        profile: the profile's name.
    """
    shown = printable(profile, 100)
    option = "" if profile == "default" else f" --profile {shown}"
    match error:
        case ConfigError():
            return str(error)
        case CredentialProcessError():
            return f"the credential_process of profile {shown} gave no credentials: {error}; run it by hand to see why"
        case ClientError():
            return _explain_refusal(error, shown)
        case OSError() if not isinstance(error, BotoConnectionError):
            reason = error.strerror or type(error).__name__
            file = f"the file {printable(str(error.filename), 200)}" if error.filename else "a file"
            return f"{file} that profile {shown} takes its credentials from cannot be read: {reason}"
        case RuntimeError() if "still expired" in str(error):
            return f"what profile {shown} gives has expired already: log in again"
    for kinds, words in _WORDS:
        if isinstance(error, kinds):
            return words.format(profile=shown, option=option, text=printable(str(error), 300))
    kind = type(error).__name__
    return f"the AWS chain gives none ({kind}): check its variables and files, `aws sts get-caller-identity{option}`"


# `text` is used where it is botocore's own and cannot hold a secret. The first that matches counts.
_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (SSOError, TokenRetrievalError),
        ("the SSO login of profile {profile} has ended, was never made, or its file is damaged: log in "
        "with `aws sso login{option}`"),
    ),
    (
        (LoginError,),
        "the login of profile {profile} has ended or was never made: log in with `aws login{option}`",
    ),
    (
        (UnicodeDecodeError, json.JSONDecodeError, TypeError, AttributeError),
        ("what gives the credentials of profile {profile} (a token file, or the service of this host or container) "
        "answered with something other than credentials: ask it by hand to see what it says"),
    ),
    (
        (NoTerminalError, RefreshWithMFAUnsupportedError),
        ("the role of profile {profile} asks for an MFA code, which can only be given at a terminal, and not again "
        "while a run lasts: get session credentials first (`aws sts get-session-token`)"),
    ),
    (
        (TooLateError,),
        (f"nothing within {MAX_SECONDS:.0f} s from what gives the credentials of profile {{profile}}: check it with "
        "`aws sts get-caller-identity{option}`"),
    ),
    (
        (
            ProfileNotFound, ConfigNotFound, ConfigParseError, InvalidConfigError, PartialCredentialsError,
            UnknownCredentialError, MissingDependencyException,
        ),
        "{text} (check the AWS configuration of profile {profile})",
    ),
    (
        (BotoConnectionError, HTTPClientError),
        ("the service that gives the credentials of profile {profile} cannot be reached: check network, proxy and "
        "endpoint"),
    ),
    (
        (MetadataRetrievalError, CredentialRetrievalError),
        "the credential service of this host or container gave none for profile {profile}: check its role",
    ),
)  # fmt: skip


def _explain_refusal(error: ClientError, shown: str) -> str:
    """Explain a service (STS, SSO) that refuses, by its code and not in its words."""
    code = printable(str(error.response.get("Error", {}).get("Code", "")), 60)
    todo = "log in again" if code.startswith(("Expired", "Unauthorized")) else "check its role and keys"
    return f"{error.operation_name} was refused for profile {shown} ({code}): {todo}"


def name_unreadable_file(session: "Session") -> str:
    """Return which of the chain's files cannot be read, which botocore passes over; empty if none is like that."""
    for variable in ("credentials_file", "config_file"):
        path = Path(session.get_config_variable(variable)).expanduser()
        if reason := _explain_unreadable(path):
            return f" ({printable(str(path), 200)} cannot be read: {reason})"
    return ""


def _explain_unreadable(path: Path) -> str:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    return "" if os.access(path, os.R_OK) else "permission denied"

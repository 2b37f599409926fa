"""Gets credentials from the AWS chain and renews them, each attempt within a deadline.

botocore looks for credentials without a bound on time, logs failures with tracebacks, and repeats what a helper
printed. Here one thread at a time makes an attempt, and only our own words leave the room.
"""

import logging
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.credentials import AssumeRoleProvider, Credentials, ProcessProvider, RefreshableCredentials
from botocore.exceptions import (
    LoginError,
    ParamValidationError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)

from applier.s3.credential_failures import MAX_SECONDS, NoTerminalError, TooLateError, explain, name_unreadable_file
from applier.s3.credential_process import BoundedProcess, HungProcessError
from applier.s3.faults import NO_CREDENTIALS, S3Fault
from schemas.errors import ConfigError
from schemas.results import FailureKind
from schemas.text import printable

if TYPE_CHECKING:
    from botocore.session import Session

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MFA_SECONDS = 45.0
# botocore renews from 15 minutes before credentials expire. In their last ten, renewing is mandatory: every request
# waits for it, and the run ends if it fails. For credentials that came with less, that is so in their last minute.
# https://github.com/boto/botocore/blob/develop/botocore/credentials.py, RefreshableCredentials
_MANDATORY_SECONDS = 600
_MANDATORY_SECONDS_IF_SHORT = 60
# The shortest time from one attempt to the next, whatever the number of requests: before that, and from then on.
_ADVISORY_PAUSE_SECONDS = 20.0
_MANDATORY_PAUSE_SECONDS = 1.0
# A mandatory renewal that fails is repeated after these waits; then the login has ended for this run.
_RETRY_SECONDS = (0.5, 1.0, 2.0)
# A login that has ended stays so until a person acts.
_ENDED_LOGIN = (SSOError, LoginError)

# What the libraries log may hold tokens, signed requests and the words of helpers.
_SILENCED = ("boto3", "botocore", "urllib3")


# botocore's names for where it found credentials, in users' words.
_METHODS = {
    "env": "the environment",
    "explicit": "the environment",
    "shared-credentials-file": "the credentials file",
    "config-file": "the configuration file",
    "assume-role": "an assumed role",
    "assume-role-with-web-identity": "a role assumed with a web identity",
    "sso": "SSO",
    "login": "the AWS login",
    "custom-process": "a credential process",
    "iam-role": "the instance's role",
    "container-role": "the container's role",
}
_OF_A_PROFILE = frozenset({"shared-credentials-file", "config-file", "assume-role", "sso", "login", "custom-process"})


class Keys(NamedTuple):
    """Credentials as they are now; field names as botocore's signers read them."""

    access_key: str
    secret_key: str
    token: str | None


class Timing(NamedTuple):
    """Waits so many seconds, and says how many have passed since some moment."""

    wait: Callable[[float], object] = time.sleep
    now: Callable[[], float] = time.monotonic


_SYSTEM = Timing()


class _Renewal(NamedTuple):
    """When the last attempt to renew credentials ended, and how long before they expire renewing is mandatory."""

    at: float
    mandatory_seconds: int


class CredentialSource:
    """The credentials of one run.

    Args:
        session: the AWS chain.
        profile: its profile, for messages.
        timing: how time passes between attempts to renew.

    Raises:
        ConfigError: there are no credentials, or they cannot be got.
    """

    def __init__(self, session: "Session", profile: str, timing: Timing = _SYSTEM) -> None:
        self._profile, self._timing = profile, timing
        self._lock = threading.Lock()
        self._end = ""
        silence_libraries()
        try:
            self._credentials, self._keys = _within(MAX_SECONDS, lambda: _find(session))
        except Exception as error:  # noqa: BLE001  # the one place that knows every way in which this fails
            raise ConfigError(f"S3 access: {explain(error, profile)}") from None
        self._last = self._record_renewal()

    @property
    def origin(self) -> str:
        """Where they come from, and how to tell whose they are: for people, without anything secret."""
        method = str(getattr(self._credentials, "method", "") or "the AWS chain")
        name = _METHODS.get(method, method)
        profile = f" of profile {printable(self._profile, 100)}" if method in _OF_A_PROFILE else ""
        return f"{name}{profile}, access key …{printable(self._keys.access_key[-4:])}"

    @property
    def are_lasting(self) -> bool:
        """Whether these are keys that neither expire nor come with a session token."""
        return self._keys.token is None and not isinstance(self._credentials, RefreshableCredentials)

    def current(self) -> Keys:
        """Return the credentials, renewed if they are about to expire.

        Raises:
            S3Fault: they cannot be renewed: the run can ask nothing more.
        """
        if self._is_due() and self._lock.acquire(blocking=self._is_mandatory()):
            try:
                if self._is_due():
                    self._renew()
            finally:
                self._lock.release()
        if self._end:
            raise S3Fault(FailureKind.ACCESS_DENIED, self._end, code=NO_CREDENTIALS)
        return self._keys

    def _is_due(self) -> bool:
        if self._end or not self._expire_within(None):
            return False
        pause_seconds = _MANDATORY_PAUSE_SECONDS if self._is_mandatory() else _ADVISORY_PAUSE_SECONDS
        return self._timing.now() >= self._last.at + pause_seconds

    def _is_mandatory(self) -> bool:
        """Tell whether the credentials are too close to their end for a request to go out before they are renewed."""
        return self._expire_within(self._last.mandatory_seconds)

    def _expire_within(self, seconds: int | None) -> bool:
        """Tell whether the credentials expire so soon; with None, so soon that botocore would renew them."""
        expiring = self._credentials
        try:
            return isinstance(expiring, RefreshableCredentials) and expiring.refresh_needed(seconds)
        except (TypeError, ValueError):  # a renewal brought a time without a time zone, or with an impossible one
            return True

    def _record_renewal(self) -> _Renewal:
        is_short = self._expire_within(_MANDATORY_SECONDS)
        return _Renewal(self._timing.now(), _MANDATORY_SECONDS_IF_SHORT if is_short else _MANDATORY_SECONDS)

    def _renew(self) -> None:
        for wait_seconds in (*_RETRY_SECONDS, None):
            try:
                self._keys = _within(MAX_SECONDS, lambda: _freeze(self._credentials))
            except Exception as error:  # noqa: BLE001  # see above
                reason = explain(error, self._profile)
                logger.info("the credentials could not be renewed: %s", reason)
                if not self._is_mandatory() and not isinstance(error, _ENDED_LOGIN):
                    self._last = self._last._replace(at=self._timing.now())
                    return
                if wait_seconds is None or _is_hopeless(error):
                    self._end = f"the credentials could not be renewed: {reason} (apply again once that is fixed)"
                    return
                self._timing.wait(wait_seconds)
            else:
                self._last = self._record_renewal()
                return


def silence_libraries() -> None:
    """Keep what the AWS libraries log away from every handler but their own."""
    for name in _SILENCED:
        logging.getLogger(name).propagate = False
        logging.getLogger(name).addHandler(logging.NullHandler())


def _find(session: "Session") -> tuple[Credentials, Keys]:
    """Look for credentials along the chain, with our own bounds where it would start a helper or ask a person."""
    for provider in session.get_component("credential_provider").providers:
        if isinstance(provider, ProcessProvider):
            _bound_process(provider)
        elif isinstance(provider, AssumeRoleProvider):
            _bound_role(provider)
    credentials = session.get_credentials()
    if credentials is None:
        raise ConfigError(
            "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with "
            f"--profile, or log in with `aws sso login`{name_unreadable_file(session)}"
        )
    return credentials, _freeze(credentials)


def _bound_process(provider: ProcessProvider) -> ProcessProvider:
    provider._popen = BoundedProcess  # type: ignore[attr-defined]  # noqa: SLF001  # no public way; held by a test
    return provider


def _bound_role(provider: AssumeRoleProvider) -> None:
    """Do the same for a role, whose source profile may name a helper, too."""
    provider._prompter = _ask_for_code  # type: ignore[attr-defined]  # noqa: SLF001  # as above
    builder: Any = provider._profile_provider_builder  # type: ignore[attr-defined]  # noqa: SLF001  # as above
    create = builder._create_process_provider  # noqa: SLF001  # as above
    builder._create_process_provider = lambda profile_name: _bound_process(create(profile_name))  # noqa: SLF001


def _ask_for_code(prompt: str) -> str:
    """Ask for an MFA code at the terminal, whatever stdin is."""
    try:
        with Path("/dev/tty").open("r+b", buffering=0) as terminal:
            terminal.write(printable(prompt).encode() + b" ")
            if not select.select([terminal], [], [], _MFA_SECONDS)[0]:
                raise TooLateError
            return terminal.readline(100).decode(errors="replace").strip()
    except OSError as error:
        raise NoTerminalError from error


def _freeze(credentials: Credentials) -> Keys:
    try:
        frozen = credentials.get_frozen_credentials()
    except (LookupError, TypeError, ValueError, AttributeError, ParamValidationError) as error:
        if credentials.method == "sso":  # the file that a login leaves is not what botocore expects
            raise TokenRetrievalError(provider="sso", error_msg="") from error
        raise
    keys = Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token or None)
    if not (keys.access_key and keys.secret_key):
        raise ConfigError("the AWS credentials have an empty access key or secret key: check where they are set")
    if not all(_is_plain(part) for part in keys):
        raise ConfigError("the AWS credentials hold a line end or another character that keys cannot have")
    return keys


def _is_plain(part: object) -> bool:
    """Tell whether a header can hold this part of credentials, which may come from any helper's JSON."""
    return part is None or (isinstance(part, str) and part.isascii() and part.isprintable())


def _within(seconds: float, question: Callable[[], T]) -> T:
    """Answer a question on a thread of its own, and give it up when time is over.

    Raises:
        Exception: what the question raised, or `TooLateError`.
    """
    answers: list[T] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(question())
        except Exception as error:  # noqa: BLE001  # handed over to the thread that asked
            errors.append(error)

    asking = threading.Thread(target=ask, daemon=True, name="aws-credentials")
    asking.start()
    asking.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TooLateError
    return answers[0]


def _is_hopeless(error: Exception) -> bool:
    """Tell whether another attempt within seconds would fail, too, or wait as long once more."""
    final = (TooLateError, NoTerminalError, RefreshWithMFAUnsupportedError, HungProcessError, *_ENDED_LOGIN)
    return isinstance(error, final)

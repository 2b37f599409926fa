"""Sends notifications: to webhooks of Slack and Teams, and with apprise to whatever else it knows.

A notification that cannot be sent stops nothing, and does not keep a run from ending. Webhooks are secrets: of an
address, only its scheme and host are ever shown. The only apprise import.
"""

import json
import logging
import re
import threading
from collections.abc import Callable
from http.client import HTTPException
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from kraken_plan.finish.message import Message
from schemas.errors import ConfigError
from schemas.text import printable

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10.0
_LONGEST_SECONDS = 30.0
_FORMED = re.compile(r"(slack|teams):(https?://.+)")
_SENT_AS_IT_IS = re.compile(r"[!-~]*")
_SLACK_HOST = re.compile(r"hooks\.slack(-gov)?\.com")


class _NotSentError(Exception):
    """A notification was not sent; the message says why, and holds no secret."""


def check_address(address: str) -> None:
    """See that a notification could be sent to an address.

    Raises:
        ConfigError: it is none, or it takes apprise, which is not installed.
    """
    try:
        form = form_of(address)
        reason = None if form is None else _explain_bad_url(_url_of(address))
    except ValueError:
        raise ConfigError("--notify: this is no address: expected ops, business, or a webhook (https://…)") from None
    if reason is not None:
        raise ConfigError(f"--notify {shown_address(address)}: nothing can be sent to this address: {reason}")
    if form is None:
        _load_apprise(address)


def _url_of(address: str) -> str:
    """Return the URL of a webhook, without the form that may stand before it."""
    formed = _FORMED.fullmatch(address)
    return formed[2] if formed else address


def _explain_bad_url(url: str) -> str | None:
    """Return why nothing can be posted to a URL; None if it can. Quotes nothing of it.

    Raises:
        ValueError: it is malformed, for example its port.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:
        return "it names no host, or no port"
    if "@" in parts.netloc:
        return "it has a login (…@); webhooks take none"
    if not _SENT_AS_IT_IS.fullmatch(parts.path + parts.query):
        return "it has blanks or letters that an address has encoded (%20, %C3%A4)"
    return None


def form_of(address: str) -> str | None:
    """Return the form that a webhook takes, `slack` or `teams`; None if the address is not that of a webhook.

    As AlphaKraken tells the two apart, by the host, unless the address itself says it: `slack:https://…`.
    """
    if formed := _FORMED.fullmatch(address):
        return formed[1]
    if not address.startswith(("http://", "https://")):
        return None
    return "slack" if _SLACK_HOST.fullmatch(urlsplit(address).hostname or "") else "teams"


def send(message: Message, address: str) -> None:
    """Send a message; where that fails, or takes too long, warn."""
    failure = ["no answer came in time"]
    sender = threading.Thread(target=_send_aside, args=(message, address, failure), daemon=True, name="notification")
    sender.start()
    sender.join(_LONGEST_SECONDS)
    if failure:
        logger.warning("the notification to %s was not sent: %s", shown_address(address), failure[0])


def shown_address(address: str) -> str:
    """Return as much of an address as is no secret."""
    try:
        parts = urlsplit(_url_of(address))
        host, form = parts.hostname or "", form_of(address)
    except ValueError:
        return "…"
    if form is None:
        return f"{parts.scheme}://…"  # what stands where a host does may be a token
    return f"{parts.scheme}://{printable(host, 100)}/…"


def _send_aside(message: Message, address: str, failure: list[str]) -> None:
    """Send a message, and take the failure off the list if there was none."""
    try:
        (_post if form_of(address) else _send_with_apprise)(message, address)
    except _NotSentError as error:
        failure[0] = str(error)
    except Exception as error:  # noqa: BLE001  # of a library that talks to anything: only its kind is shown
        failure[0] = type(error).__name__
    else:
        failure.clear()


def _post(message: Message, address: str) -> None:
    content = message.as_slack() if form_of(address) == "slack" else message.as_teams()
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "kraken-plan"}
    request = Request(_url_of(address), json.dumps(content).encode(), headers, method="POST")  # noqa: S310  # http or https
    try:
        with build_opener(_NoRedirects).open(request, timeout=_TIMEOUT_SECONDS):
            pass
    except HTTPError as error:
        raise _NotSentError(f"HTTP status {error.code}") from None
    except URLError as error:
        reason = error.reason
        raise _NotSentError(printable(getattr(reason, "strerror", None) or str(reason), 200)) from None
    except (HTTPException, OSError, ValueError) as error:
        raise _NotSentError(type(error).__name__) from None


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: a POST would become a GET, and the message would get lost."""

    def redirect_request(  # noqa: PLR0913, PLR0917  # urllib's signature
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> None:
        """Have the answer taken as an error."""


def _send_with_apprise(message: Message, address: str) -> None:
    notifier = _load_apprise(address)
    if not notifier(message.title, "\n".join(message.lines)):
        raise _NotSentError("the service did not take it")


def _load_apprise(address: str) -> Callable[[str, str], bool]:
    """Return what sends a title and a body to an address.

    Raises:
        ConfigError: apprise is not installed, or does not know such an address.
    """
    try:
        from apprise import Apprise  # noqa: PLC0415  # an extra
    except ImportError:
        raise ConfigError(
            f"--notify {shown_address(address)}: expected ops, business, or a webhook (https://…). Other addresses "
            "take apprise: install it with the program, from its checkout or wheel: pip install '/path/to/it[notify]'"
        ) from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # what it logs may hold the address
    notifier = Apprise()
    if not notifier.add(address):
        raise ConfigError(
            f"--notify {shown_address(address)}: neither ops, business, a webhook (https://…), nor an address that "
            "apprise knows: https://appriseit.com/services"
        )
    return lambda title, body: bool(notifier.notify(body=body, title=title, body_format="text"))

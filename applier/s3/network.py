"""Decides from the environment how HTTP reaches S3: through which proxy, and trusting which certificates.

The libraries read these settings in different ways. Here they are read once, and every library is given the answer.
"""

import ipaddress
import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import ConfigError
from schemas.text import printable

logger = logging.getLogger(__name__)

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Where distributions keep the certificates that the system trusts.
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_PROXY_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """Where S3 is, and the region to sign for."""

    endpoint_url: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How HTTP reaches S3.

    Args:
        proxy_url: with its credentials, if it has any; None for a direct connection.
        ca_bundle: path of the trusted certificates (PEM).
        ca_folder: path of a folder with more of them; None if there is none.
    """

    ca_bundle: str
    ca_folder: str | None = None
    proxy_url: str | None = None

    def ports_of(self, endpoint_url: str) -> frozenset[int]:
        """Return the ports that connections to an endpoint may go to: its own and the proxy's."""
        return frozenset(_port_of(url) for url in (endpoint_url, self.proxy_url) if url)

    def describe_route(self) -> str:
        """Return ` through the proxy …` for messages, without the proxy's credentials; empty without a proxy."""
        if self.proxy_url is None:
            return ""
        parts = urlsplit(self.proxy_url)
        port = f":{parts.port}" if parts.port else ""
        return f" through the proxy {parts.scheme}://{printable(parts.hostname or '', 200)}{port}"


def choose_network(
    endpoint_url: str, environment: Mapping[str, str], configured_bundle: str | None, shipped_bundle: str
) -> Network:
    """Return how to reach an endpoint.

    Args:
        endpoint_url: of S3.
        environment: of this process.
        configured_bundle: the AWS chain's CA bundle (`AWS_CA_BUNDLE` or the profile's `ca_bundle`).
        shipped_bundle: what to trust where neither a setting nor the system names certificates.

    Raises:
        ConfigError: a setting cannot be honoured.
    """
    named = {"AWS_CA_BUNDLE or the profile's ca_bundle": configured_bundle}
    folder = None
    if urlsplit(endpoint_url).scheme == "https":
        named["REQUESTS_CA_BUNDLE"] = environment.get("REQUESTS_CA_BUNDLE")
        folder = environment.get("SSL_CERT_DIR") if not any(named.values()) else None
        named["SSL_CERT_FILE"] = environment.get("SSL_CERT_FILE")
    system = next((path for path in _SYSTEM_BUNDLES if Path(path).is_file()), shipped_bundle)
    return Network(
        ca_bundle=_try_bundles(named) or system,
        ca_folder=folder if folder and Path(folder).is_dir() else None,
        proxy_url=_choose_proxy(endpoint_url, environment),
    )


def _try_bundles(bundles: Mapping[str, str | None]) -> str | None:
    """Return the first bundle that is named, having tried it."""
    setting, path = next(((setting, path) for setting, path in bundles.items() if path), ("", None))
    if path is None:
        return None
    shown = f"CA bundle {printable(path)} ({setting})"
    try:
        certificates = Path(path).read_text(encoding="ascii", errors="replace")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates)  # refuses an empty file
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"{shown}: expected certificates in PEM form") from error
    except OSError as error:
        raise ConfigError(f"{shown}: {error.strerror}") from error
    return path


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def _choose_proxy(endpoint_url: str, environment: Mapping[str, str]) -> str | None:
    parts = urlsplit(endpoint_url)
    setting, proxy_url = _find_proxy(parts.scheme, environment)
    if not proxy_url:
        return None
    exempt = environment.get("no_proxy", environment.get("NO_PROXY", ""))
    if _is_exempt(parts.hostname or "", _port_of(endpoint_url), exempt):
        return None
    if "://" not in proxy_url:
        proxy_url = f"http://{proxy_url}"
    if reason := _explain_bad_proxy(proxy_url):
        raise ConfigError(f"{setting}: {reason} (unset it, or exempt the S3 server with NO_PROXY)")
    return proxy_url


def _find_proxy(scheme: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that names the proxy, and its value; a lower-case name goes first, as with curl."""
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"):
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
            continue  # set by a remote client of a CGI script: https://httpoxy.org
        if name in environment:
            return name, environment[name].strip()
    return "", ""


def _explain_bad_proxy(url: str) -> str | None:
    """Return why a proxy cannot be used, without showing its password; None if it can."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 1
    except ValueError:
        host, port = None, 0
    if not host or not port or not url.isascii() or not url.isprintable() or " " in url:
        return "it does not name a proxy (expected http://host:port)"
    if parts.scheme not in _PROXY_SCHEMES:
        return f"a proxy that speaks {printable(parts.scheme, 20)} cannot be used (expected http:// or https://)"
    return None


def _is_exempt(host: str, port: int, exempt: str) -> bool:
    """Tell whether NO_PROXY exempts a host: by `*`, name, suffix, address or network, each with or without a port."""
    return any(_matches(host.lower(), port, entry.lower()) for entry in re.split(r"[,\s]+", exempt) if entry)


def _matches(host: str, port: int, entry: str) -> bool:
    name, entry_port = _split_port(entry.partition("://")[2] or entry)
    if entry_port is not None and entry_port != port:
        return False
    if name == "*":
        return True
    if "/" in name:
        return _is_in_network(host, name)
    suffix = name.removeprefix("*").lstrip(".")
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    """Return name and port of `name`, `name:port`, `[address]:port` or a bare IPv6 address."""
    match = re.fullmatch(r"\[([^\]]*)\](?::([0-9]{1,5}))?|([^:]*):([0-9]{1,5})", entry)
    if match is None:
        return entry, None
    name, port = (match[1], match[2]) if match[1] is not None else (match[3], match[4])
    return name, int(port) if port else None


def _is_in_network(host: str, network: str) -> bool:
    try:
        known = ipaddress.ip_network(network, strict=False)
    except ValueError:
        logger.warning("NO_PROXY: %s is not a network and exempts nothing", printable(network, 100))
        return False
    try:
        return ipaddress.ip_address(host) in known
    except ValueError:  # a host name
        return False

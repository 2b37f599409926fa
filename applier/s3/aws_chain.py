"""Reads the standard AWS chain: which S3, which region, which credentials, which proxy and certificates.

The session is botocore's, and boto3's client is made of it only where nothing else knows the endpoint or the identity:
to load boto3 and make one takes longer than to restore a small file. None is ever asked for an object.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from applier.s3.credentials import CredentialSource
from applier.s3.network import S3Address, choose_network
from schemas.errors import ConfigError
from schemas.s3_location import explain_bad_endpoint_url, explain_bad_region
from schemas.text import printable

if TYPE_CHECKING:
    import boto3

# The chain's endpoint for all services and for S3, by botocore's own reading of variables and profiles. The sections
# `services` of a configuration file are left to a client: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_CHECK_ENDPOINT = "(check --endpoint-url and AWS_ENDPOINT_URL)"
# For SSO and STS, which botocore would otherwise ask five times for a minute each.
_SIGN_IN = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 3})
_ASK_ONCE = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
# Mozilla's certificates, as botocore brings them along.
_SHIPPED_BUNDLE = str(Path(botocore.__file__).with_name("cacert.pem"))
_AWS_ITSELF = re.compile(r"https://[^/]*\.amazonaws\.com(\.cn)?/?")
_ANY_REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """How S3 is reached; None leaves it to the AWS chain.

    Args:
        profile: name of an AWS profile.
        connect_timeout_seconds: until a connection stands.
        read_timeout_seconds: between two packets.
        request_timeout_seconds: until the end of an answer, which is one of at most 8 MiB: slower than 28 KB/s is as
            good as stalled.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 20.0
    request_timeout_seconds: float = 300.0


class AwsChain:
    """What the AWS chain says, asked once at the start.

    Args:
        access: what goes before the chain.
        environment: of this process, for proxies and certificates.

    Raises:
        ConfigError: there is no such profile, there are no credentials, or a setting cannot be honoured.
    """

    def __init__(self, access: S3Access, environment: Mapping[str, str] = os.environ) -> None:
        self.access, self._environment = access, environment
        try:
            self._chain = chain = _open_chain(access.profile, access.region)
            profile = chain.get_config_variable("profile") or "default"
            bundle = chain.get_config_variable("ca_bundle")
            region = chain.get_config_variable("region")
            configured = _configured_address(access, chain)
        except BotoCoreError as error:
            raise ConfigError(f"S3 access: {_explain(error)}") from error
        if region and (reason := explain_bad_region(region)):
            raise ConfigError(f"S3 access: the region: {reason} (check --region, AWS_DEFAULT_REGION and the profile)")
        self.credentials = CredentialSource(chain, profile)
        self.default_address = configured or self._derive_address(access.region)
        if reason := explain_bad_endpoint_url(self.default_address.endpoint_url):
            raise ConfigError(f"S3 access: the endpoint: {reason} {_CHECK_ENDPOINT}")
        self.network = choose_network(self.default_address.endpoint_url, environment, bundle, _SHIPPED_BUNDLE)

    def ask_identity(self) -> str | None:
        """Return whose the credentials are, as STS says; None where S3 is not AWS's, or STS gives no answer."""
        is_named = bool(self._environment.get("AWS_ENDPOINT_URL_STS"))
        if not is_named and not _AWS_ITSELF.fullmatch(self.default_address.endpoint_url):
            return None
        try:
            region = self.default_address.region
            client = _boto3_session(self._chain).client("sts", region_name=region, config=_ASK_ONCE)
            return str(client.get_caller_identity()["Arn"])
        except (BotoCoreError, ClientError, ValueError, KeyError):
            return None

    def address_in(self, region: str) -> S3Address:
        """Return where S3 is for buckets in another region than the chain's."""
        if self.access.endpoint_url is not None:
            return S3Address(endpoint_url=self.access.endpoint_url, region=region)
        return self._derive_address(region)

    def _derive_address(self, region: str | None) -> S3Address:
        """Return the address that botocore's own tables give."""
        try:
            client = _boto3_session(self._chain).client(
                "s3",
                region_name=region,
                endpoint_url=self.access.endpoint_url,
                config=_path_style(self._chain),
                verify=False,  # it connects to nothing; the bundle is tried in `choose_network`, which names it
            )
        except BotoCoreError as error:
            raise ConfigError(f"S3 access: {_explain(error)}") from error
        except ValueError as error:  # botocore's word for a malformed endpoint
            raise ConfigError(f"S3 access: {_explain(error, _CHECK_ENDPOINT)}") from error
        return S3Address(endpoint_url=client.meta.endpoint_url, region=client.meta.region_name)


def find_named_endpoint(profile: str | None) -> str | None:
    """Return the endpoint that the AWS chain names for S3; None where it names none, and AWS itself is meant.

    Needs no credentials, so that a plan can be compiled where there are none.

    Args:
        profile: name of an AWS profile; None leaves it to the chain.

    Raises:
        ConfigError: there is no such profile, or the endpoint is malformed.
    """
    try:
        endpoint_url = _named_endpoint(_open_chain(profile))
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"S3 access: {_explain(error, _CHECK_ENDPOINT)}") from None
    if endpoint_url is not None and (reason := explain_bad_endpoint_url(endpoint_url)):
        raise ConfigError(f"S3 access: the endpoint: {reason} {_CHECK_ENDPOINT}")
    return endpoint_url


def _named_endpoint(chain: botocore.session.Session) -> str | None:
    if chain.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    if "services" not in chain.get_scoped_config():
        return chain.get_config_variable("endpoint_url") or None
    region = chain.get_config_variable("region") or _ANY_REGION
    client = _boto3_session(chain).client("s3", region_name=region, config=_path_style(chain))
    return None if _AWS_ITSELF.fullmatch(client.meta.endpoint_url) else client.meta.endpoint_url


def _path_style(chain: botocore.session.Session) -> Config:
    """Return the configuration of a client whose endpoint is wanted."""
    if chain.get_config_variable("use_fips_endpoint"):  # else a client calls one its own that us-east-1 does not have
        return Config(s3={"addressing_style": "path", "us_east_1_regional_endpoint": "regional"})
    return Config(s3={"addressing_style": "path"})


def _open_chain(profile: str | None, region: str | None = None) -> botocore.session.Session:
    named = [
        variable for variable in _ENDPOINT_VARIABLES if os.environ.get(variable)
    ]  # as a client passes over empty ones
    chain = botocore.session.Session(
        profile=profile, session_vars={"endpoint_url": ("endpoint_url", named, None, None)}
    )
    chain.set_default_client_config(_SIGN_IN)
    if region is not None:
        chain.set_config_variable("region", region)
    return chain


def _boto3_session(chain: botocore.session.Session) -> "boto3.Session":
    import boto3  # noqa: PLC0415  # takes its time

    return boto3.Session(botocore_session=chain)


def _configured_address(access: S3Access, chain: botocore.session.Session) -> S3Address | None:
    """Return the address that is configured; None where only a client can derive it from botocore's own tables."""
    endpoint_url = access.endpoint_url
    if endpoint_url is None:
        ignored = chain.get_config_variable("ignore_configured_endpoint_urls")
        if ignored or "services" in chain.get_scoped_config():
            return None
        endpoint_url = chain.get_config_variable("endpoint_url")
    region = chain.get_config_variable("region")
    if not (endpoint_url and region):
        return None
    return S3Address(endpoint_url=endpoint_url, region=region)


def _explain(error: Exception, advice: str = "") -> str:
    """Return botocore's words on one line, less all that may be a user, a password or the query of a URL in them."""
    match error:
        case ProfileNotFound(kwargs={"profile": name}):
            # an address, given by mistake, may hold a password or a signature
            named = "of that name" if {":", "?"} & set(str(name)) else repr(printable(str(name), 100))
            return f"the AWS configuration has no profile {named}: check --profile and AWS_PROFILE"
        case _:
            words = printable(re.sub(r"(?<=: ).*@|\S*@|\?\S+", "…", str(error)))
            return f"{words} {advice}".rstrip()

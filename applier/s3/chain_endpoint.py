"""Finds the S3 endpoint that the standard AWS chain names: variables, profile, configuration file. Asks no server.

Needs no credentials, so that a plan can be compiled where there are none.
"""

import re

import botocore.session
from botocore.exceptions import BotoCoreError

from schemas.errors import ConfigError
from schemas.s3_location import explain_bad_endpoint_url
from schemas.text import printable

# By botocore's own reading; what a section `services` of the configuration file says, only a client knows:
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
_ENDPOINT_URL = {"endpoint_url": ("endpoint_url", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], None, None)}
_AWS_ITSELF = re.compile(r"https://[^/]*\.amazonaws\.com(\.cn)?/?")
_ANY_REGION = "us-east-1"


def find_chain_endpoint(profile: str | None) -> str | None:
    """Return the endpoint that the AWS chain names for S3; None where it names none, and AWS itself is meant.

    Args:
        profile: name of an AWS profile; None leaves it to the chain.

    Raises:
        ConfigError: there is no such profile, or the endpoint is malformed.
    """
    try:
        session = botocore.session.Session(profile=profile, session_vars=_ENDPOINT_URL)
        endpoint_url = _configured(session)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"S3 access: {_without_secrets(error)}") from None
    if endpoint_url is not None and (reason := explain_bad_endpoint_url(endpoint_url)):
        raise ConfigError(f"the AWS chain's S3 endpoint: {reason} (check AWS_ENDPOINT_URL and the AWS configuration)")
    return endpoint_url


def _configured(session: botocore.session.Session) -> str | None:
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    if "services" not in session.get_scoped_config():
        return session.get_config_variable("endpoint_url") or None
    region = session.get_config_variable("region") or _ANY_REGION
    endpoint_url: str = session.create_client("s3", region_name=region).meta.endpoint_url
    return None if _AWS_ITSELF.fullmatch(endpoint_url) else endpoint_url


def _without_secrets(error: Exception) -> str:
    """Return botocore's words on one line, less the user, password and query of any URL in them."""
    return printable(re.sub(r"(?<=//)[^/\s]*@|\?\S+", "…", str(error)))

"""Where S3 is, by the AWS chain: what is found without a client must be what a client would find."""

from pathlib import Path
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.loaders import Loader

from applier.s3.aws_chain import S3Access, find_named_endpoint
from applier.s3.boto_store import BotoStore
from applier.s3.faults import S3Fault
from schemas.errors import ConfigError

CONFIG = """
[default]
region = eu-central-1
[profile endpoint]
region = eu-west-1
endpoint_url = http://profile:1
[profile services]
aws_access_key_id = key
aws_secret_access_key = secret
region = eu-west-1
endpoint_url = http://profile:1
services = ours
[profile other-services]
region = eu-west-1
endpoint_url = http://profile:1
services = others
[profile ignored]
region = eu-west-1
endpoint_url = http://profile:1
ignore_configured_endpoint_urls = true
[services ours]
s3 =
    endpoint_url = http://services:2
[services others]
sts =
    endpoint_url = http://services:2
"""


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with a configuration file and credentials, and nothing else of AWS in it."""
    (tmp_path / "config").write_text(CONFIG, encoding="ascii")
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return monkeypatch


@pytest.fixture(scope="module")
def loader() -> Loader:
    """Reads botocore's description of S3, for all clients once, because that takes a third of a second."""
    return Loader()


@pytest.mark.parametrize("profile", [None, "endpoint", "services", "other-services", "ignored"])
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AWS_ENDPOINT_URL": "http://all:3"},
        {"AWS_ENDPOINT_URL": "http://all:3", "AWS_ENDPOINT_URL_S3": "http://s3:4"},
        {"AWS_ENDPOINT_URL": "http://all:3", "AWS_ENDPOINT_URL_S3": ""},
        {"AWS_ENDPOINT_URL": ""},
        {"AWS_ENDPOINT_URL": "http://all:3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ENDPOINT_URL_S3": "http://s3:4", "AWS_DEFAULT_REGION": "us-east-1"},
        {"AWS_DEFAULT_REGION": "cn-north-1"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
    ],
    ids=str,
)
def test_address_should_be_that_of_the_aws_chain(
    aws: pytest.MonkeyPatch, loader: Loader, profile: str | None, variables: dict[str, str]
) -> None:
    aws.setattr("botocore.session.create_loader", lambda _path=None: loader)
    for name, value in variables.items():
        aws.setenv(name, value)
    if profile is not None:
        aws.setenv("AWS_PROFILE", profile)

    address = BotoStore(S3Access()).address("bucket")

    expected = botocore.session.Session().create_client("s3").meta
    assert (address.endpoint_url, address.region) == (expected.endpoint_url, expected.region_name)
    is_aws = ".amazonaws.com" in expected.endpoint_url
    assert find_named_endpoint(None) == (None if is_aws else expected.endpoint_url)  # what compile puts into a plan


@pytest.mark.parametrize("variable", ["AWS_NOTHING_OF_NOTE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_address_should_be_the_one_that_a_client_sends_requests_to(aws: pytest.MonkeyPatch, variable: str) -> None:
    """For FIPS in us-east-1, it is not the one that a client calls its own."""
    aws.setenv("AWS_DEFAULT_REGION", "us-east-1")
    aws.setenv(variable, "true")

    address = BotoStore(S3Access()).address("bucket")

    client = boto3.Session().client("s3", config=Config(s3={"addressing_style": "path"}))
    sent_to = urlsplit(client.generate_presigned_url("head_bucket", Params={"Bucket": "bucket"}))
    assert (address.endpoint_url, address.region) == (f"https://{sent_to.netloc}", "us-east-1")


def test_address_should_be_that_of_the_options_before_the_chains(aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_ENDPOINT_URL_S3", "http://s3:4")

    address = BotoStore(S3Access(endpoint_url="http://option:5", region="us-west-2", profile="services")).address("b")

    assert (address.endpoint_url, address.region) == ("http://option:5", "us-west-2")


def test_address_should_not_lack_the_region_where_only_the_endpoint_is_configured(aws: pytest.MonkeyPatch) -> None:
    aws.delenv("AWS_CONFIG_FILE")
    aws.setenv("HOME", "/nonexistent")

    address = BotoStore(S3Access(endpoint_url="http://option:5")).address("bucket")

    assert (address.endpoint_url, address.region) == ("http://option:5", "us-east-1")


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (S3Access(profile="x@y.org"), "has no profile 'x@y.org': check --profile and AWS_PROFILE"),
        (S3Access(endpoint_url="http://h:1", region="no region"), "no region"),
        (S3Access(endpoint_url="http://h:1", region="eu-central-1\n"), "is not the name of a region"),
        (S3Access(region="eu-central-1\n"), "is not the name of a region"),
        (S3Access(endpoint_url="ftp://h"), "ftp://h"),
    ],
    ids=["profile", "region", "line end", "line end on AWS", "endpoint"],
)
@pytest.mark.usefixtures("aws")
def test_what_the_chain_cannot_make_sense_of_should_be_refused(access: S3Access, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BotoStore(access)


def test_a_bad_region_should_be_told_on_one_line() -> None:
    with pytest.raises(ConfigError) as told:
        BotoStore(S3Access(endpoint_url="http://option:5", region="eu\nkraken-plan: all is verified"))
    assert str(told.value).isprintable()


@pytest.mark.usefixtures("aws")
def test_a_host_that_is_not_known_should_be_called_that() -> None:
    store = BotoStore(S3Access(endpoint_url="http://no.such.host.invalid:9"))

    with pytest.raises(S3Fault, match="cannot connect: the host name is not known") as told:
        store.check_bucket("bucket")

    assert told.value.transient


def test_a_file_that_cannot_be_read_should_be_named_where_there_are_no_credentials(
    aws: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    aws.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "loop"))
    aws.setenv("AWS_EC2_METADATA_DISABLED", "true")
    aws.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(ConfigError, match=r"no AWS credentials found: .*/loop cannot be read: Too many levels"):
        BotoStore(S3Access(endpoint_url="http://h:1"))


@pytest.mark.parametrize(("profile", "option"), [(None, "`"), ("endpoint", " --profile endpoint`")])
def test_advice_should_name_a_profile_only_where_one_was_named(
    aws: pytest.MonkeyPatch, profile: str | None, option: str
) -> None:
    aws.setenv("AWS_METADATA_SERVICE_TIMEOUT", "abc")
    aws.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(ConfigError, match=f"`aws sts get-caller-identity{option}"):
        BotoStore(S3Access(endpoint_url="http://h:1", profile=profile))


def test_the_token_file_that_is_not_there_should_be_named(aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    aws.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")
    aws.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(ConfigError, match="the file /nonexistent/token that profile default takes its credentials"):
        BotoStore(S3Access(endpoint_url="http://h:1"))

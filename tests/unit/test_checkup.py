"""The pieces of a check-up: mounts, clocks, and what a catalog's user may do."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from archiving_s3 import ArchivingS3
from embedded_s3 import EmbeddedS3
from raw_server import RawServer

from applier.checkup.access import check_s3
from applier.checkup.mounts import choose_mount
from applier.finding import Finding, State
from applier.s3.aws_chain import AwsChain, S3Access
from kraken_plan.views.doctor_text import finding_lines
from kraken_plan.views.table import unpainted
from planner.catalog import CatalogAccess, parse_access

MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:40 / /fs/pool rw,relatime shared:2 - nfs4 pool.example.org:/pool rw,vers=4.2,local_lock=none
31 21 0:41 / /fs/pool-1 rw,relatime - nfs pool.example.org:/one rw,vers=3,nolock,local_lock=all
32 30 0:42 / /fs/pool/my\\040data rw - cifs //samba-pool-0/data rw,nobrl
33 30 0:43 / /fs/pool rw - tmpfs tmpfs rw
nonsense
""".splitlines()


@pytest.mark.parametrize(
    ("path", "kind", "shared", "option"),
    [
        ("/", "ext4", False, None),
        ("/fs", "ext4", False, None),
        ("/fs/pool-1/output", "nfs", True, "local_lock=all"),
        ("/fs/pool/my data/x", "cifs", True, "nobrl"),
        ("/fs/pool/other", "tmpfs", False, None),  # mounted over the other
    ],
)
def test_a_folder_should_be_on_its_nearest_mount(path: str, kind: str, shared: bool, option: str | None) -> None:  # noqa: FBT001
    mount = choose_mount(path, MOUNTS)

    assert mount is not None
    assert (mount.kind, mount.is_shared, mount.local_lock_option) == (kind, shared, option)


def clock_of(s3_server: EmbeddedS3, ahead: timedelta, monkeypatch: pytest.MonkeyPatch) -> Finding:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    access = S3Access(endpoint_url=s3_server.endpoint_url, region="eu-central-1")
    (clock,) = (one for one in check_s3(access, lambda: datetime.now(UTC) + ahead) if one.topic == "clock")
    return clock


def test_a_clock_that_is_off_should_be_found_by_s3s_own(s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = [clock_of(s3_server, timedelta(minutes=minutes), monkeypatch) for minutes in (0, 5, -5, 60)]

    assert [one.state for one in clocks] == [State.RIGHT, State.WARNING, State.WARNING, State.WRONG]
    assert "ahead of S3's" in clocks[1].words
    assert "behind S3's" in clocks[2].words
    assert "set this machine's clock" in clocks[3].advice


def test_sts_should_be_asked_whose_the_credentials_are(
    archive: ArchivingS3, s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    access = S3Access(endpoint_url=s3_server.endpoint_url, region="eu-central-1")
    assert AwsChain(access).ask_identity() is None  # it is not AWS's S3
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    assert AwsChain(access).ask_identity() is None  # no answer
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", archive.endpoint_url)
    assert str(AwsChain(access).ask_identity()).startswith("arn:aws:sts::")


def test_findings_should_be_broken_at_the_width_of_a_terminal() -> None:
    finding = Finding(topic="locks", state=State.WRONG, words="one two three\nfour", advice="five six seven eight nine")

    assert list(finding_lines(finding, unpainted, 40)) == [
        "WRONG    locks        one two three",
        "                      four",
        "                      -> five six seven",
        "                      eight nine",
    ]
    assert list(finding_lines(finding, unpainted))[-1] == "                      -> five six seven eight nine"


def privileges(actions: list[object], resource: object) -> dict[str, object]:
    granted = [{"resource": resource, "actions": actions}]
    return {"authInfo": {"authenticatedUsers": [{"user": "u", "db": "d"}], "authenticatedUserPrivileges": granted}}


@pytest.mark.parametrize(
    ("connection", "user", "may_write"),
    [
        (privileges(["find", "listCollections"], {"db": "krakendb", "collection": ""}), "u", False),
        (privileges(["find", "insert"], {"db": "krakendb", "collection": ""}), "u", True),
        (privileges(["insert"], {"db": "", "collection": ""}), "u", True),
        (privileges(["anyAction"], {"anyResource": True}), "u", True),
        (privileges(["insert"], {"db": "another", "collection": ""}), "u", False),
        ({"authInfo": {"authenticatedUsers": [], "authenticatedUserPrivileges": []}}, None, True),
        ({"authInfo": {"authenticatedUsers": [{"user": "u"}]}}, "u", None),
        ({}, None, None),
        ({"authInfo": 5}, None, None),
        (privileges([5], None), "u", False),
        ({"authInfo": {"authenticatedUsers": [5, {"user": 5}], "authenticatedUserPrivileges": [5]}}, None, False),
    ],
)
def test_what_a_user_may_do_should_be_told_from_any_answer(
    connection: dict[str, object],
    user: str | None,
    may_write: bool | None,  # noqa: FBT001
) -> None:
    assert parse_access({"version": "7.0"}, connection, "krakendb") == CatalogAccess(
        server="7.0", user=user, may_write=may_write
    )


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "401 Unauthorized", "403 Forbidden", "404 Not Found"])
def test_an_answer_that_is_not_s3s_should_not_pass_for_it(
    s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    page = b"<html>please log in</html>"
    answer = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(page)}\r\n\r\n".encode() + page
    with RawServer(defaultdict(lambda: answer)) as portal:
        found = list(check_s3(S3Access(endpoint_url=portal.url(""), region="eu-central-1"), lambda: datetime.now(UTC)))

    last = found[-1]
    assert (last.topic, last.state) == ("endpoint", State.WRONG)
    assert f"what answers ({status[:3]}) is not S3" in last.words
    assert "portal" in last.advice


@pytest.mark.parametrize("prefix", [b"", b"s3:"])
def test_a_list_of_buckets_should_show_that_s3_answers(
    s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, prefix: bytes
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    page = b"<%bListAllMyBucketsResult/>" % prefix
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)
    with RawServer(defaultdict(lambda: answer)) as server:
        found = list(check_s3(S3Access(endpoint_url=server.url(""), region="eu-central-1"), lambda: datetime.now(UTC)))

    assert [finding.state for finding in found if finding.topic == "endpoint"] == [State.RIGHT]

"""Row 36: names and S3's answers that would forge lines or steer a terminal are one bounded, escaped line each.

Row 37 with them: what S3's answers and the surroundings hold of secrets is never passed on. That none is in any output
is asserted by `run_cli` after every run and over every file; here are the runs that would bring one out.
"""

import json
import os
import pty
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, thermo
from cli import PROGRAM, Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault
from restore_case import RestoreCase

MAX_LINE_BYTES = 4096
FORGERY = "\n\tx.raw: OK - Skipped (already exists)\r\x1b[2J\x1b[31m\u202e\u2028\x85"
# What a path may hold and a terminal obeys: control characters are refused in it, these are not.
STEERING = "\u202e\u2028\u2066\U000e0001"
BIG = 1024 * 1024
FAKE_SIGNATURE = "AWS4-HMAC-SHA256 Credential=AKIA/20261123, X-Amz-Signature=5d672d79c15b13162d9279b0855cfba6789a8edb"


def hostile_plan(run_cli: Cli, case: RestoreCase) -> str:
    """The case's plan with names as bad as a plan may hold, in every place; no file of it is in S3."""
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    (raw_file,) = document["raw_files"].values()
    (file,) = raw_file["files"]
    keys = ["k" + FORGERY, "\x01" * 1024, "\U000e0001" * 256, "k\u202e/../x\x1b]0;title\x07", "/" + FORGERY, "plain"]
    paths = [f"{number}{STEERING}.raw" for number in range(len(keys) - 1)] + [f"{'🧪' * 60}/" * 3 + STEERING * 12]
    base = raw_file["destination_base"]
    raw_file["files"] = [
        {**file, "s3_key": key, "relative_path": path, "absolute_dest_path": f"{base}/{path}"}
        for key, path in zip(keys, paths, strict=True)
    ]
    failed = {**raw_file, "files": [], "error": "no\r" + FORGERY + "x" * BIG, "skipped": True}
    document["raw_files"] = {
        "r" + FORGERY: {**raw_file, "project_id": "p" + FORGERY},
        "s" + FORGERY * 5000: failed,
    }
    return json.dumps(document)


def assert_plain_lines(text: str) -> None:
    """Every line is printable and of at most 4 KiB."""
    for line in text.split("\n"):
        assert line.isprintable(), repr(line[:200])
        assert len(line.encode()) <= MAX_LINE_BYTES, line[:200]


def s3_error(message: str) -> Answer:
    """An error whose code and message are S3's own, and as bad as they can be."""
    body = f"<Error><Code>{message}</Code><Message>{message}</Message><StringToSign>{message}</StringToSign></Error>"
    return Answer(status=400, body=body.encode())


@pytest.mark.parametrize(
    "answer",
    [
        None,
        s3_error("Bad&#10;x.raw: OK&#9;\u202e\u2028" + "y" * BIG),
        Answer(status=403, code="AccessDenied", message="y\x1b[2J\u202e" * (BIG // 8)),
        Answer(status=403, body=b"\n\x1b[31m\xff" * (BIG // 8)),
        Answer(status=500, code="z" * BIG),
        Answer(status=200, body=b"<html>\x1b[2J" + b"w" * BIG),
        Answer(status=307, headers={"Location": "http://127.0.0.1:1/\x1b[2J" + "v" * 4000}),
    ],
    ids=["the server's own", "400", "403", "403 of no XML", "500", "200", "307"],
)
def test_names_and_answers_should_be_one_escaped_line_each_row_36(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, answer: Answer | None
) -> None:
    # given
    case = make_restore_case(thermo(size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)
    plan = hostile_plan(run_cli, case)
    if answer is not None:
        faulty_proxy.add(Fault(action=answer, key=f"^/{case.bucket()}/."))

    # when
    dry_run = run_cli("apply", "-", "--dry-run", "--retries", "0", stdin=plan)
    result = run_cli("apply", "-", "-vv", "--results", "results.jsonl", "--retries", "0", stdin=plan)

    # then
    assert (dry_run.exit_code, result.exit_code) == (1, 1)
    report, results = last_report(case), (run_cli.folder / "results.jsonl").read_text(encoding="utf-8")
    *lines, end = results.replace(longest_id(results), "").splitlines()  # whose summary is as long as its examples
    assert end.isprintable()
    for text in (report, "\n".join(lines), result.stderr, dry_run.stdout, dry_run.stderr):
        assert_plain_lines(text)
    lines = report.splitlines()
    assert len([line for line in lines if ".raw: FAILURE - " in line or "🧪" in line]) == 6
    assert [line for line in lines if line.startswith(("x.raw:", "\tx.raw:", "Status: "))] == ["Status: FAILURE"]
    assert len([line for line in lines if line.startswith("ERROR: no\\r\\n\\tx.raw: OK")]) == 1
    assert 7 < dry_run.stdout.count("\n") < 20


def longest_id(results: str) -> str:
    """The one raw file id of 100 KB, which a program that reads results must find whole."""
    *_, end = results.splitlines()  # which gives examples, cut short
    (line,) = (line for line in results.splitlines() if '"relative_path": null' in line and line != end)
    return line.partition('"raw_file_id": "')[2].partition('", "relative_path"')[0]


def test_results_should_hold_every_name_whole_row_36(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = hostile_plan(run_cli, case)

    run_cli("apply", "-", "--results", "results.jsonl", "--retries", "0", stdin=plan)

    head, *lines, summary = (run_cli.folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert "results_version" in json.loads(head)
    assert json.loads(summary)["entries"] == len(lines)
    told = {(entry["raw_file_id"], entry["relative_path"]) for entry in map(json.loads, lines)}
    raw_files = json.loads(plan)["raw_files"]
    files = {(name, file["relative_path"]) for name, raw_file in raw_files.items() for file in raw_file["files"]}
    assert told == files | {("s" + FORGERY * 5000, None)}


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: ours and the program's."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def read_to_the_end(descriptor: int) -> str:
    """All that the program writes to its terminal until nobody has it open."""
    pieces = []
    while True:
        try:
            pieces.append(os.read(descriptor, 65536))
        except OSError:  # Linux says EIO where the other end is closed
            return b"".join(pieces).decode()


def test_a_terminal_should_not_be_steered_row_36(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a destination, too, whose name turns text around
    case = make_restore_case(thermo(size_bytes=100))
    base = f"{case.output_location}/PRID001"
    plan = run_cli.folder / "hostile.json"
    plan.write_text(hostile_plan(run_cli, case).replace(base, f"{base}{STEERING}"), encoding="utf-8")
    with terminal() as (ours, theirs):
        # when
        process = subprocess.Popen(
            [PROGRAM, "apply", plan, "--retries", "0"],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            cwd=run_cli.folder,
            env=run_cli.environment,
        )
        os.close(theirs)
        said = read_to_the_end(ours)
    # then
    assert process.wait(timeout=60) == 1
    assert " to go" in said
    assert "\\u202e\\u2028\\u2066\\U000e0001/_download_status_batch_" in said
    for character in (*STEERING, "\x85", "\x07", "\x1b[2J", "\x1b[31m", "\nx.raw", "\tx.raw"):
        assert character not in said, repr(character)


def test_piped_paths_of_reports_should_be_the_real_ones_row_36(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    base = f"{case.output_location}/PRID001"
    plan = hostile_plan(run_cli, case).replace(base, f"{base}{STEERING}")
    result = run_cli("apply", "-", "--retries", "0", stdin=plan)
    assert Path(result.stdout.removesuffix("\n")).is_file()


def test_compile_should_say_one_escaped_line_for_each_hostile_entry_row_36(run_cli: Cli) -> None:
    # given a catalog of hostile names
    document = {
        "_id": "r" + FORGERY,
        "project_id": "PRID001",
        "s3_upload_path": "s3://alphakraken-prid001/",
        "file_info": {f"{number}{FORGERY}{'x' * number}": [3, "m", "no etag"] for number in (0, 1, 300, BIG)},
    }
    good = {**document, "_id": "good.raw", "file_info": {"good.raw": [3, "m", f"{'0' * 32}__5"]}}
    bad_bucket = {**document, "_id": "t" + FORGERY * 5000, "s3_upload_path": "s3://b" + FORGERY * 9000}
    (run_cli.folder / "export.jsonl").write_text("".join(f"{json.dumps(d)}\n" for d in (document, bad_bucket, good)))
    (run_cli.folder / "ids.txt").write_text("missing\x1b[2J\u202e\n")

    # when
    by_project = ["compile", "--project", "PRID001", "--catalog", "export.jsonl", "--output-root", "/out"]
    result = run_cli(*by_project, "--ids-file", "ids.txt", "-o", "plan.json", "-vv")
    checked = run_cli("validate", "plan.json")

    # then
    assert (result.exit_code, checked.exit_code) == (1, 0)
    assert_plain_lines(result.stderr)
    assert "6 could not be resolved" in result.stderr


@pytest.mark.parametrize("status", [307, 400, 403, 500])
def test_what_s3_answers_of_signatures_and_keys_should_not_be_passed_on_row_37(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, status: int
) -> None:
    """AWS tells what a wrong signature was made of; an answer may echo a token, or redirect to a signed URL."""
    # given
    case = make_restore_case(thermo(size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    token, secret = "SESSIONTOKEN" * 20, run_cli.environment["AWS_SECRET_ACCESS_KEY"]
    body = f"<Error><Code>Odd</Code><Message>{FAKE_SIGNATURE} {token} {secret}</Message></Error>"
    location = {"Location": f"http://127.0.0.1:1/b/k?{FAKE_SIGNATURE.replace(' ', '&')}&X-Amz-Security-Token={token}"}
    faulty_proxy.add(Fault(action=Answer(status=status, body=body.encode(), headers=location)))

    # when every answer, the bucket check's included, then only those to questions about the file
    # a bucket that may not be listed counts as one that is there
    for environment, exit_code in (({"AWS_SESSION_TOKEN": token}, 1 if status == 403 else 2), ({}, 1)):
        result = run_cli("apply", plan, "-vv", "--retries", "1", "--results", "r.jsonl", environment=environment)
        # then
        assert result.exit_code == exit_code, result.stderr
        assert exit_code == 2 or "FAILURE - " in last_report(case)
        assert len(faulty_proxy.log) > 0
        faulty_proxy.clear()
        faulty_proxy.add(Fault(action=Answer(status=status, body=body.encode(), headers=location), key="sample.raw"))
    assert token in run_cli.secrets
    assert secret in run_cli.secrets


@pytest.mark.parametrize("places", ["~/.aws/credentials", "container"])
def test_unusable_credentials_should_not_be_shown_row_37(
    run_cli: Cli, make_restore_case: MakeRestoreCase, places: str
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    without: dict[str, str | None] = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    if places == "container":
        url = "http://127.0.0.1:1/?X-Amz-Signature=5d672d79"
        extra = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "CONTAINERTOKEN"}
        run_cli.secrets.add("CONTAINERTOKEN")
    else:
        extra = {"AWS_PROFILE": "broken", "AWS_SHARED_CREDENTIALS_FILE": "/dev/stdin"}
        run_cli.secrets.add("FILESECRET")
    content = "[broken]\naws_access_key_id = AKIA\naws_secret_access_key: FILESECRET\n[broken\nFILESECRET\n"

    result = run_cli("apply", plan, "-vv", stdin=content, environment={**without, **extra})

    assert result.exit_code == 2
    assert list(case.output_location.iterdir()) == []

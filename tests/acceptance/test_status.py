"""`status`: plan, S3 and local files held against each other, as a user sees it. Real program, real S3, real files."""

import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from apply_case import compile_plan, left_staged, thermo
from archiving_s3 import ArchivingS3, archived_case
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from fault_case import many_files
from faulty_proxy import FaultyProxy
from file_systems import mounted_tmpfs, picture
from needs import needs_root
from network_faults import Answer, Fault, Reset, Stall
from restore_case import RestoreCase
from sample_data import MIB
from versions import purge_older_versions
from waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def rows(result: CliResult) -> dict[str, tuple[str, ...]]:
    """The entries of `status --json` by name: what apply would do, S3, local."""
    document = json.loads(result.stdout)
    return {
        file["relative_path"] or file["raw_file_id"]: (file["apply"], file["s3"], file["local"])
        for file in document["files"]
    }


def place(case: RestoreCase, name: str, content: bytes | None = None) -> None:
    """Put a file where it is to be restored, as it was or with another content."""
    case.destination().mkdir(exist_ok=True)
    (sample,) = (sample for sample in case.raw_files if sample.raw_file_id == name)
    (case.destination() / name).write_bytes(sample.contents[name] if content is None else content)


def test_status_should_hold_plan_s3_and_local_files_against_each_other_and_change_nothing(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client", faulty_proxy: FaultyProxy
) -> None:
    # given every state of S3 with a local file, and every state of the local file with a good S3
    names = ("right", "wrong", "short", "absent", "differs", "differs_too", "missing", "denied", "unreachable")
    case = make_restore_case(
        *(thermo(f"{name}.raw", size_bytes=1000) for name in names),
        thermo("in_the_way.raw", size_bytes=1000),
        endpoint_url=faulty_proxy.endpoint_url,
    )
    plan = compile_plan(run_cli, case, *case.raw_file_ids, "unknown.raw")
    for name in ("right.raw", "differs.raw", "missing.raw", "denied.raw", "unreachable.raw"):
        place(case, name)
    place(case, "wrong.raw", bytes(1000))
    place(case, "short.raw", b"short")
    place(case, "differs_too.raw", bytes(1000))
    (case.destination() / "in_the_way.raw").mkdir()
    for name in ("differs.raw", "differs_too.raw"):
        s3.put_object(Bucket=case.bucket(), Key=name, Body=b"another")
    s3.delete_object(Bucket=case.bucket(), Key="missing.raw")
    faulty_proxy.add(
        Fault(action=Answer(status=403, code="AccessDenied"), key="denied"), Fault(action=Reset(), key="unreachable")
    )
    before = picture(case.folder)

    # when
    result = run_cli("status", plan, "--json", "--retries", "0")

    # then
    assert result.exit_code == 1, result.stderr
    assert rows(result) == {
        "right.raw": ("skip", "as planned", "right"),
        "wrong.raw": ("heal", "as planned", "wrong"),
        "short.raw": ("heal", "as planned", "wrong"),
        "absent.raw": ("download", "as planned", "absent"),
        "differs.raw": ("cannot", "differs", "right"),
        "differs_too.raw": ("cannot", "differs", "wrong"),
        "missing.raw": ("cannot", "missing", "right"),
        "denied.raw": ("cannot", "denied", "right"),
        "unreachable.raw": ("cannot", "unreachable", "right"),
        "in_the_way.raw": ("cannot", "as planned", "unusable"),
        "unknown.raw": ("cannot", "not asked", "not looked at"),
    }
    document = json.loads(result.stdout)
    assert document["bytes_to_fetch"] == 3000
    assert document["totals"] == {"skip": 1, "verify": 0, "download": 1, "heal": 2, "cannot": 7}
    (space,) = document["file_systems"]
    assert (space["missing_bytes"], space["needed_bytes"]) == (2000, 2200)  # hashing alone shows what is wrong inside
    assert picture(case.folder) == before

    # and apply does what it says: what it cannot do it leaves alone
    applied = run_cli("apply", plan, "--retries", "0", "--results", run_cli.folder / "results.jsonl")
    assert applied.exit_code == 1
    lines = map(json.loads, (run_cli.folder / "results.jsonl").read_text(encoding="utf-8").splitlines()[1:-1])
    done = {line["relative_path"] or line["raw_file_id"]: line["outcome"] for line in lines}
    in_words = {"skip": "skipped", "heal": "healed", "download": "downloaded", "cannot": "failed"}
    assert done == {name: in_words[row[0]] for name, row in rows(result).items()}


def test_status_in_words_should_have_a_line_for_every_entry_and_what_it_comes_to(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client"
) -> None:
    # given
    case = make_restore_case(*(thermo(f"{name}.raw", size_bytes=3 * MIB) for name in ("right", "absent", "gone")))
    plan = compile_plan(run_cli, case)
    place(case, "right.raw")
    s3.delete_object(Bucket=case.bucket(), Key="gone.raw")
    purge_older_versions(s3, case.bucket(), "gone.raw")

    # when
    result = run_cli("status", plan, "--rate", "1M")

    # then
    assert result.exit_code == 1
    summary, cannot, missing = result.stdout.split("\n\n")
    first, to_do, space, time = summary.splitlines()
    assert first == "3 entries: 1 verified, 1 failed, 0 unresolvable, 1 not attempted"
    assert to_do == "To do: 1 to download; to be fetched: 3.0 MiB at most"
    again = "Applying again helps: if the key appears"
    assert cannot.startswith(f"S3 key not found: 1 entry, 3.0 MiB. {again}\n")
    assert f"gone.raw  S3 key not found: s3://{case.bucket()}/gone.raw" in cannot.splitlines()[-1]
    assert missing.startswith("Not there: 1 entry, 3.0 MiB. Apply would download it\n")
    assert missing.endswith("as planned  absent  3.0 MiB  absent.raw\n")
    assert "right.raw" not in result.stdout

    # and with all of them, a line for each; a dry run says the same
    table = run_cli("status", plan, "--all").stdout.split("\n\n")[1]
    assert [line.split()[0] for line in table.splitlines()] == ["Apply", "skip", "download", "cannot"]
    assert "skip      as planned  right   3.0 MiB  right.raw" in table
    dry_run = re.sub(r"\nSpace: .*", "", run_cli("apply", plan, "--dry-run").stdout)  # others write to this disk, too
    assert dry_run == result.stdout.replace(f"\n{space}\n{time}", "")

    # and a page holds it, too
    assert run_cli("status", plan, "--html", "status.html").exit_code == 1
    assert b"<title>Restore status: " in (run_cli.folder / "status.html").read_bytes()
    assert space.startswith(f"Space: {case.destination()}: 6.6 MiB needed (6.0 MiB missing, and 10 %), ")
    assert space.endswith(" free (quotas cannot be seen)")
    assert time == "Time: 0:00:03 (h:mm:ss) to fetch all of it at 1.0 MiB a second"


def test_a_restored_plan_should_have_nothing_to_do_and_no_body_fetched(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    run_cli("apply", plan)
    faulty_proxy.clear()
    before = picture(case.folder)

    result = run_cli("status", plan)

    assert result.exit_code == 0, result.stderr
    assert result.stdout == "1 entry: 1 verified, 0 failed, 0 unresolvable, 0 not attempted\n"
    assert faulty_proxy.requests("GET", "sample.raw") == []
    assert picture(case.folder) == before


def test_small_files_that_are_listed_should_be_told_apart_one_by_one(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client", faulty_proxy: FaultyProxy
) -> None:
    # given small files of a folder, which are hashed together, and what is wrong with some of them
    case = make_restore_case(many_files(100), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    folder = case.destination() / "many.d"
    (folder / "003").write_bytes(bytes(1000))
    (folder / "011").write_bytes(b"short")
    (folder / "012").unlink()
    s3.put_object(Bucket=case.bucket(), Key="many.d/020", Body=b"another")
    faulty_proxy.clear()

    # when
    result = run_cli("status", plan, "--json", "--jobs", "1")  # those that come behind the listing go together

    # then
    wrong = {
        "many.d/003": ("heal", "as planned", "wrong"),
        "many.d/011": ("heal", "as planned", "wrong"),
        "many.d/012": ("download", "as planned", "absent"),
        "many.d/020": ("cannot", "differs", "right"),
    }
    assert rows(result) == {f"many.d/{number:03}": ("skip", "as planned", "right") for number in range(100)} | wrong
    assert len(faulty_proxy.log) < 20  # a listing, and what is wrong is looked at for itself


def test_a_quick_look_should_say_that_it_verifies_nothing(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a flipped bit, which only hashing shows, and a short file
    case = make_restore_case(thermo("flipped.raw", size_bytes=1000), thermo("short.raw", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    place(case, "flipped.raw", bytes(1000))
    place(case, "short.raw", b"short")

    # when
    result = run_cli("status", plan, "--no-local-hash")

    # then
    assert result.exit_code == 1
    assert "as planned  unverified  1,000 B  flipped.raw\n" in result.stdout
    assert "as planned  wrong  1,000 B  short.raw  5 bytes, expected 1000\n" in result.stdout
    assert "; to be fetched: 1,000 B at most, if what is unverified is right\n" in result.stdout
    assert (
        "Local files were not read (--no-local-hash): of what is unverified only the size is right\n" in result.stdout
    )

    # and once the size is right, it has nothing to say, where hashing has
    place(case, "short.raw")
    assert run_cli("status", plan, "--no-local-hash").exit_code == 0
    assert json.loads(run_cli("status", plan, "--no-local-hash", "--json").stdout)["local_files_hashed"] is False
    assert run_cli("status", plan).exit_code == 1


def test_a_staged_part_should_be_told_and_left_as_it_is(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a run that lost S3 in the middle of a file
    case = make_restore_case(thermo(size_bytes=40 * MIB), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Answer(status=503), method="GET", key="sample.raw", skip=5))
    run_cli("apply", plan, "--retries", "0", "--jobs", "1")
    faulty_proxy.clear()
    assert left_staged(case) != []
    before = picture(case.folder)

    # when
    result = run_cli("status", plan, "--json")

    # then
    assert rows(result) == {"sample.raw": ("download", "as planned", "staged part")}
    assert 0 < json.loads(result.stdout)["bytes_to_fetch"] < 40 * MIB
    assert picture(case.folder) == before

    # and it is still gone on with
    faulty_proxy.clear()
    assert run_cli("apply", plan).exit_code == 0
    fetched = sum(exchange.sent_bytes for exchange in faulty_proxy.requests("GET", "sample.raw"))
    assert fetched < 40 * MIB


def test_archived_objects_should_be_told_before_anything_is_fetched(
    run_cli: Cli, archive: ArchivingS3, tmp_path: Path
) -> None:
    # given
    names = ("cold.raw", "cold_but_right.raw", "under_way.raw", "restored.raw", "empty.raw")
    raw_files = [thermo(name, size_bytes=0 if name == "empty.raw" else 1000) for name in names]
    case = archived_case(archive, tmp_path / "case", *raw_files)
    for name in names[:-1]:
        archive.archive(case.bucket(), name, "DEEP_ARCHIVE")
    archive.request_restore(case.bucket(), "restored.raw", done=True)
    archive.request_restore(case.bucket(), "under_way.raw", done=False)
    plan = compile_plan(run_cli, case)
    place(case, "cold_but_right.raw")

    # when
    result = run_cli("status", plan, "--json")

    # then
    assert rows(result) == {
        "cold.raw": ("cannot", "archived", "absent"),
        "cold_but_right.raw": ("skip", "as planned", "right"),
        "under_way.raw": ("cannot", "thawing", "absent"),
        "restored.raw": ("download", "as planned", "absent"),
        "empty.raw": ("download", "as planned", "absent"),
    }
    why = {file["relative_path"]: file["why"] for file in json.loads(result.stdout)["files"]}
    assert "Archived in DEEP_ARCHIVE" in why["cold.raw"]
    assert "request a restore" in why["cold.raw"]
    assert "its restore is under way" in why["under_way.raw"]


@needs_root
def test_what_apply_would_be_refused_for_should_be_told_beside_what_is_there(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given a plan of which no bucket exists, for a disk that is too small
    case = make_restore_case(thermo("right.raw", size_bytes=1000), thermo("absent.raw"))
    plan = compile_plan(run_cli, case)
    missing = plan.read_text(encoding="utf-8").replace(case.bucket(), "no-such-bucket")
    with mounted_tmpfs(case.output_location, "size=4m"):
        place(case, "right.raw")

        # when
        full = run_cli("status", plan)
        plan.write_text(missing, encoding="utf-8")
        run_cli("seal", plan)
        result = run_cli("status", plan)

    # then
    assert full.exit_code == result.exit_code == 1
    refusal = full.stdout.partition("As things stand, apply would be refused:\n")[2]
    assert refusal.startswith(f"  {case.destination()}: 13.2 MiB needed (12.0 MiB missing, and 10 %), 4.0 MiB free")
    assert "As things stand, apply would be refused:\n  no bucket of the plan exists: no-such-bucket" in result.stdout
    assert "missing  right " in result.stdout


def test_an_output_location_that_is_not_there_should_be_refused(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    case.output_location.rmdir()

    result = run_cli("status", plan)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "does not exist: is its file system mounted?" in result.stderr
    assert not case.output_location.exists()


def test_an_interrupted_look_should_tell_what_it_has_seen(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a look that waits for S3
    case = make_restore_case(thermo("a.raw"), thermo("b.raw"), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=60), key="b.raw"))
    process = run_cli.start("status", plan, "--json")
    wait_for(lambda: faulty_proxy.requests("HEAD", "b.raw"), "the question to S3")

    # when
    process.send_signal(signal.SIGINT)
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 130
    assert rows(result)["b.raw"][:2] == ("cannot", "not asked")


def test_hostile_names_should_stay_on_their_line(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    document = cast("dict[str, Any]", json.loads(compile_plan(run_cli, case).read_bytes()))
    del document["plan_digest"]
    forged = "x\u2028skip  as planned  right\u202e"
    document["raw_files"] = {forged: {**document["raw_files"]["sample.raw"], "error": f"no\n{forged}", "skipped": True}}

    result = run_cli("status", "-", stdin=json.dumps(document))

    assert result.exit_code == 1
    assert "\u2028" not in result.stdout
    first = [line.split()[:1] for line in result.stdout.splitlines()]
    assert first == [["1"], [], ["Unresolvable:"], ["S3"], ["not"]]
    assert list(case.output_location.iterdir()) == []

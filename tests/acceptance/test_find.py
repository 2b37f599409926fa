"""`kraken-plan find`, and the same search of `compile`: read-only, in bounded memory, on every kind of catalog."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from catalog_server import Catalog
from cli import PROGRAM, Cli, CliResult
from plan_samples import MD5, OTHER_MD5, JsonObject, catalog_document
from sample_data import write_export
from wire_tap import READ_ONLY, WireTap

BEGIN = datetime(2025, 1, 1, 8, tzinfo=UTC)


def acquired(raw_file_id: str, day: int, project_id: str | None, instrument_id: str, **changes: object) -> JsonObject:
    """A document as mongoengine writes it."""
    document = catalog_document(
        raw_file_id,
        _cls="RawFile",
        original_name=raw_file_id,
        project_id=project_id,
        instrument_id=instrument_id,
        created_at=BEGIN + timedelta(days=day),
        status="done",
        backup_status="upload_done",
    )
    return {**document, **changes}


DOCUMENTS = [
    acquired("hela_1.raw", 0, "P1", "astral1"),
    acquired("hela_2.d", 1, "P1", "tims2", file_info={f"hela_2.d/{n}": [2**30, "m", f"{MD5}__5"] for n in range(3)}),
    acquired("plasma 3,5.raw", 2, "P2", "astral1", backup_status="upload_failed"),
    acquired("plasma_4.raw", 3, None, "astral2", file_info={"x": [None, OTHER_MD5]}),
]
SEARCHES: Sequence[tuple[list[str], list[int]]] = [
    (["--project", "P1"], [0, 1]),
    (["--project", "P1", "--project", "P2"], [0, 1, 2]),
    (["--project", "P1,P2", "--instrument", "astral1"], [0, 2]),
    (["--instrument", "astral1", "--instrument", "astral2"], [0, 2, 3]),
    (["--since", "2025-01-02"], [1, 2, 3]),
    (["--since", "2025-01-02", "--until", "2025-01-03"], [1, 2]),
    (["--until", "2025-01-01"], [0]),
    (["--until", "2025-01-01T07:59"], []),
    (["--until", "2025-01-01T09:00+01:00"], [0]),
    (["--match", "*.raw"], [0, 2, 3]),
    (["--match", "hela*", "--match", "*_4.???"], [0, 1, 3]),
    (["--match", "HELA*"], []),
    (["--match", "plasma*", "--project", "P2", "--instrument", "astral1", "--since", "2025-01-01"], [2]),
]


@pytest.fixture(params=["export", "server"])
def address(request: pytest.FixtureRequest, run_cli: Cli, catalog: Catalog) -> Iterator[str]:
    """The same catalog as a file, and behind a tap that sees every command."""
    if request.param == "export":
        write_export(run_cli.folder / "catalog.jsonl", DOCUMENTS)
        yield "catalog.jsonl"
        return
    catalog.insert(DOCUMENTS)
    with WireTap(catalog.port) as tap:
        yield tap.uri
        assert tap.names <= READ_ONLY


def ids_in(result: CliResult) -> list[str]:
    return sorted(result.stdout.splitlines())


@pytest.mark.parametrize(("arguments", "numbers"), SEARCHES)
def test_find_should_list_what_is_asked_for_and_compile_plan_the_same(
    run_cli: Cli, address: str, arguments: list[str], numbers: list[int]
) -> None:
    expected = sorted(str(DOCUMENTS[number]["_id"]) for number in numbers)
    found = run_cli("find", *arguments, "--catalog", address, "--ids")
    assert (found.exit_code, ids_in(found)) == (0 if expected else 1, expected)
    compiled = run_cli("compile", *arguments, "--catalog", address, "--output-root", "/out")
    if expected:
        assert sorted(json.loads(compiled.stdout)["raw_files"]) == expected
    else:
        assert compiled.exit_code == 2
        assert "has no raw files of" in compiled.stderr
        assert "has no raw files of" in found.stderr


def test_the_table_should_have_all_that_people_look_for(run_cli: Cli, address: str) -> None:
    found = run_cli("find", "--match", "*", "--catalog", address)
    assert found.exit_code == 0
    heading, *lines = found.stdout.splitlines()
    assert heading.split() == ["Raw", "file", "Project", "Instrument", "Acquired", "(UTC)", "Files", "Size", "Backup"]
    rows = {line.split("  ")[0]: line.split() for line in lines}
    assert rows["hela_2.d"][1:] == ["P1", "tims2", "2025-01-02", "08:00", "3", "3.0", "GiB", "upload_done"]
    assert rows["plasma 3,5.raw"][-1] == "upload_failed"
    assert rows["plasma_4.raw"][1:] == ["–", "astral2", "2025-01-04", "08:00", "1", "–", "upload_done"]  # noqa: RUF001
    assert len({len(line) - len(line.rpartition("  ")[2]) for line in lines}) == 1


def test_json_should_hold_the_same_for_programs(run_cli: Cli, address: str) -> None:
    found = run_cli("find", "--match", "hela_2.d", "--catalog", address, "--json")
    assert json.loads(found.stdout) == {
        "raw_file_id": "hela_2.d",
        "project_id": "P1",
        "instrument_id": "tims2",
        "created_at": "2025-01-02T08:00:00Z",
        "status": "done",
        "backup_status": "upload_done",
        "files": 3,
        "size_bytes": 3 * 2**30,
    }


def test_found_ids_should_be_what_compile_reads(run_cli: Cli, address: str) -> None:
    ids = run_cli("find", "--match", "*", "--catalog", address, "--ids").stdout
    compiled = run_cli(
        "compile", "--ids-file", "-", "--catalog", address, "--output-root", "/out",
        "--default-project", "P0", stdin=ids,
    )  # fmt: skip
    assert sorted(json.loads(compiled.stdout)["raw_files"]) == sorted(str(document["_id"]) for document in DOCUMENTS)


def test_a_project_that_is_only_narrowed_away_should_be_named_and_not_stop_the_rest(run_cli: Cli) -> None:
    write_export(run_cli.folder / "catalog.jsonl", DOCUMENTS)
    common = ("--project", "P1", "--project", "P2", "--catalog", "catalog.jsonl", "--output-root", "/out")
    narrowed = run_cli("compile", *common, "--until", "2025-01-02")
    assert narrowed.exit_code == 0
    assert "found no raw files of project 'P2'" in narrowed.stderr
    unknown = run_cli("compile", *common, "--project", "P9")
    assert unknown.exit_code == 2
    assert "has no raw files of project 'P9'\n" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing is asked for: give --project, --instrument, --since, --until or --match"),
        (["--match", "*", "--json", "--ids"], "give one of them"),
        (["--since", "yesterday"], "'yesterday' is neither a date such as 2025-01-31 nor a time"),
        (["--until", "2025-13-01"], "'2025-13-01' is neither a date"),
        (["--match", "*", "--catalog", "none.jsonl"], "none.jsonl: there is no such file"),
        (["--match", "*", "--catalog", "empty.jsonl"], "holds no raw files at all"),
    ],
)
def test_what_cannot_be_searched_for_should_be_refused(run_cli: Cli, arguments: list[str], words: str) -> None:
    (run_cli.folder / "empty.jsonl").touch()
    write_export(run_cli.folder / "catalog.jsonl", DOCUMENTS)
    result = run_cli("find", *arguments, environment={"KRAKEN_PLAN_CATALOG": "catalog.jsonl"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize("option", ["--match", "--project", "--instrument"])
def test_a_text_that_is_not_utf8_should_be_found_nowhere(run_cli: Cli, address: str, option: str) -> None:
    result = run_cli("find", option, "*\udcff*", "--catalog", address)
    assert result.exit_code == 1
    assert f"has no raw files of {option[2:]} '*\\\\udcff*'" in result.stderr


def test_names_should_not_steer_the_terminal_nor_forge_a_line(run_cli: Cli) -> None:
    write_export(run_cli.folder / "catalog.jsonl", [acquired("a\nb\x1b[31m", 0, "P\n1", "\u202ex")])
    for form in ([], ["--json"]):
        found = run_cli("find", "--match", "*", "--catalog", "catalog.jsonl", *form)
        assert len(found.stdout.splitlines()) == 2 - len(form)
        assert "\x1b" not in found.stdout


def test_a_reader_that_has_seen_enough_should_end_it_quietly(run_cli: Cli) -> None:
    write_many(run_cli.folder / "catalog.jsonl", 20_000)
    script = f"{PROGRAM} find --match '*' --catalog catalog.jsonl | head -2"
    done = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, encoding="utf-8", cwd=run_cli.folder, check=False
    )
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


# --- memory


def write_many(path: Path, number: int) -> None:
    """An export of so many raw files of some files each."""
    info = {f"X/{n}.bin": [123456789, OTHER_MD5, f"{MD5}-2__100"] for n in range(8)}
    document = acquired("X", 0, "P1", "astral1", file_info=info) | {"created_at": {"$date": "2025-01-01T08:00:00Z"}}
    line = json.dumps(document)
    with path.open("w") as file:
        file.writelines(line.replace("X", f"{n:08}") + "\n" for n in range(number))


def peak_mib(folder: Path, *arguments: str) -> float:
    """The most memory that a run takes, by a process that has no other children."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, done.returncode)"
    )
    command = [sys.executable, "-c", code, str(PROGRAM), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=folder, check=True)
    peak, exit_code = done.stdout.split()
    assert exit_code == "0", done.stderr
    return float(peak)


def assert_bounded(run_cli: Cli, numbers: Sequence[int], address: str) -> None:
    peaks: list[float] = []
    for number in numbers:
        write_many(run_cli.folder / "catalog.jsonl", number)
        common = ("find", "--project", "P1", "--catalog", address)
        peaks += [peak_mib(run_cli.folder, *common, *form) for form in ([], ["--json"], ["--ids"])]
    assert max(peaks) < min(peaks) + 25, peaks


def test_a_search_should_take_no_more_memory_for_more_raw_files(run_cli: Cli) -> None:
    assert_bounded(run_cli, [1_000, 20_000], "catalog.jsonl")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_million_raw_files_should_be_searched_in_the_same_memory(run_cli: Cli) -> None:
    assert_bounded(run_cli, [1_000, 1_000_000], "catalog.jsonl")


def test_a_search_of_a_server_should_take_no_more_memory_for_more_raw_files(run_cli: Cli, catalog: Catalog) -> None:
    info = {f"{n}.bin": [123456789, OTHER_MD5, f"{MD5}-2__100"] for n in range(8)}
    peaks = []
    for begin, end in ((0, 500), (500, 20_000)):
        catalog.insert([acquired(f"{n:08}", 0, "P1", "astral1", file_info=info) for n in range(begin, end)])
        peaks.append(peak_mib(run_cli.folder, "find", "--project", "P1", "--catalog", catalog.uri))
    assert peaks[1] < peaks[0] + 40, peaks  # a batch of the server's is up to 16 MiB

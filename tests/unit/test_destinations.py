"""Where raw files are restored to: a folder for each project, or where AlphaKraken keeps its backup."""

import re
from datetime import UTC, datetime

import pytest
from plan_samples import catalog_document

from planner.destinations import Destination, UnresolvedError, below_output, where_the_backup_was
from planner.records import parse_record

BACKUP = "/fs/pool-backup"
ACQUIRED = datetime(2025, 1, 31, 23, 59, tzinfo=UTC)


def place(restore_to: str = BACKUP, /, **changes: object) -> Destination:
    return where_the_backup_was(BACKUP, restore_to)(parse_record({**catalog_document(), **changes}))


@pytest.mark.parametrize(
    ("path", "below"),
    [
        (f"{BACKUP}/astral1/2025_01", "/astral1/2025_01"),
        (f"{BACKUP}//astral1/2025_01/", "/astral1/2025_01"),
        ("astral1/2025_01", "/astral1/2025_01"),
        (BACKUP, ""),
    ],
)
def test_a_backup_should_come_back_to_its_path(path: str, below: str) -> None:
    assert place(backup_base_path=path) == Destination(base=BACKUP + below)
    assert place("/mnt/new", backup_base_path=path) == Destination(base=f"/mnt/new{below}")
    assert place("/", backup_base_path=path) == Destination(base=below or "/")


def test_a_backup_should_need_no_project() -> None:
    assert place(backup_base_path="a", project_id=None).base == f"{BACKUP}/a"


def test_a_path_that_the_catalog_does_not_name_should_be_made_up_as_alphakraken_does_with_a_note() -> None:
    made_up = place(instrument_id="astral1", created_at=ACQUIRED)
    assert made_up.base == f"{BACKUP}/astral1/2025_01"
    assert "astral1/2025_01 is made of instrument_id and created_at" in made_up.notes[0]


def test_a_malformed_backup_path_should_not_matter_to_an_ordinary_restore() -> None:
    record = parse_record(catalog_document(backup_base_path=["x"]))
    assert record.problem is None
    assert below_output("/out")(record).base == "/out/PRID001"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backup_base_path": "/fs/pool-other/x"}, "is not within the backup location /fs/pool-backup"),
        ({"backup_base_path": f"{BACKUP}-2/x"}, "is not within the backup location"),
        ({"backup_base_path": f"{BACKUP}/../x"}, "it has the component '..'"),
        ({"backup_base_path": "../x"}, "it has the component '..'"),
        ({"backup_base_path": "a\nb"}, "control character U+000A"),
        ({"backup_base_path": ".kraken-plan"}, "kraken-plan's own folder"),
        ({"backup_base_path": ["x"]}, "RawFile is malformed: backup_base_path is ['x'], expected text"),
        ({"backup_base_path": 5}, "backup_base_path is 5, expected text"),
        ({"backup_base_path": {"a": 1}, "instrument_id": "a", "created_at": ACQUIRED}, "is {'a': 1}, expected text"),
        ({"backup_base_path": "\\\\server\\pool\\astral1"}, "it is a Windows path; expected a path on the backup pool"),
        ({"backup_base_path": "D:/backup/x"}, "it is a Windows path"),
        ({"backup_base_path": f" {BACKUP}/x"}, "it begins or ends with a blank"),
        ({"backup_base_path": f"{BACKUP}/x\n"}, "it begins or ends with a blank"),
        ({"instrument_id": "a"}, "no created_at"),
        ({"created_at": ACQUIRED}, "no instrument_id"),
        ({"created_at": ACQUIRED, "instrument_id": "../a"}, "has a slash"),
        ({"created_at": ACQUIRED, "instrument_id": ".."}, "it has the component '..'"),
        ({"file_info": 5}, "RawFile is malformed"),
    ],
)
def test_a_path_that_leads_elsewhere_should_be_an_error_of_its_raw_file(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UnresolvedError, match=re.escape(words)):
        where_the_backup_was(BACKUP, BACKUP)(parse_record({**catalog_document(), **changes}))

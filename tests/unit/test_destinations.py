"""Where raw files are restored to: a folder for each project, or where AlphaKraken keeps its backup."""

from datetime import UTC, datetime

import pytest
from plan_samples import catalog_document

from planner.destinations import Destination, UnresolvedError, where_the_backup_was
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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backup_base_path": "/fs/pool-other/x"}, "is not within the backup location /fs/pool-backup"),
        ({"backup_base_path": f"{BACKUP}-2/x"}, "is not within the backup location"),
        ({"backup_base_path": f"{BACKUP}/../x"}, "it has the component '..'"),
        ({"backup_base_path": "../x"}, "it has the component '..'"),
        ({"backup_base_path": "a\nb"}, "control character U+000A"),
        ({"backup_base_path": ".kraken-plan"}, "kraken-plan's own folder"),
        ({"instrument_id": "a"}, "no created_at"),
        ({"created_at": ACQUIRED}, "no instrument_id"),
        ({"created_at": ACQUIRED, "instrument_id": "../a"}, "has a slash"),
        ({"created_at": ACQUIRED, "instrument_id": ".."}, "it has the component '..'"),
        ({"file_info": 5}, "RawFile is malformed"),
    ],
)
def test_a_path_that_leads_elsewhere_should_be_an_error_of_its_raw_file(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UnresolvedError, match=words.replace("+", r"\+").replace(".", r"\.")):
        where_the_backup_was(BACKUP, BACKUP)(parse_record({**catalog_document(), **changes}))

"""Files of ids: lists, and CSV tables as AlphaKraken's web app and spreadsheets write them."""

import io
from pathlib import Path

import pytest

from planner.ids_file import read_ids_file
from planner.raw_file_ids import AskedText
from schemas.errors import ConfigError


def texts_in(path: Path, content: bytes | str, column: str | None = None) -> list[str]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [asked.text for asked in read_ids_file(str(path), column)]


@pytest.fixture
def ids_path(tmp_path: Path) -> Path:
    return tmp_path / "ids.txt"


def test_lines_should_be_texts_with_comments(ids_path: Path) -> None:
    ids_path.write_text("# today\n\n a,b # c\r\nline\u2028end\n", newline="")
    assert read_ids_file(str(ids_path)) == [
        AskedText("# today", has_comments=True),
        AskedText(" a,b # c", has_comments=True),
        AskedText("line\u2028end", has_comments=True),
    ]


def test_a_list_in_one_long_line_should_be_one_text(ids_path: Path) -> None:
    line = " ".join(f"/pool/{number:050}.raw" for number in range(5000))
    assert texts_in(ids_path, line) == [line]


def test_a_byte_order_mark_should_not_disturb(ids_path: Path) -> None:
    assert texts_in(ids_path, b"\xef\xbb\xbfa\xc3\xa4\nb") == ["aä", "b"]
    assert texts_in(ids_path, b"\xef\xbb\xbf_id,status\nb,done\n") == ["b"]


@pytest.mark.parametrize(
    "table",
    [
        '_id,status,size_gb\na.raw,done,1\n"b 0,5.raw",done,2\n',
        'raw_file_id,✓\r\na.raw,True\r\n"b 0,5.raw",True\r\n',
        "status;_id\ndone;a.raw\ndone;b 0,5.raw\n",
        "status\t_id\ndone\ta.raw\ndone\tb 0,5.raw\n",
        '_id\na.raw\n"b 0,5.raw"\n',
        '\n_id,_id,comment\na.raw,a.raw,"two\nlines"\n"b 0,5.raw",x,\n,,\n',
    ],
)
def test_tables_should_be_read_by_the_column_that_holds_the_ids(ids_path: Path, table: str) -> None:
    assert texts_in(ids_path, table) == ["a.raw", "b 0,5.raw"]


def test_a_column_should_be_read_by_its_name(ids_path: Path) -> None:
    assert texts_in(ids_path, "_id,File\n1,a.raw\n2\n3,b\n", "File") == ["a.raw", "b"]
    with pytest.raises(ConfigError, match="expected a column 'file' in its first line, found _id,File"):
        texts_in(ids_path, "_id,File\n1,a.raw\n", "file")
    with pytest.raises(ConfigError, match="found nothing"):
        texts_in(ids_path, "", "file")


def test_baselines_should_be_left_out_of_a_table_and_named(ids_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert texts_in(ids_path, "_id,status\na,done\nBASELINE_b,done\n") == ["a"]
    assert "left out 1 row that the table shows for comparison" in caplog.text


@pytest.mark.parametrize(
    "table",
    [
        '_id\tcomment\n\na.raw\t"5 ul left\nb.raw\tok\nc.raw\tok\n',
        '_id,comment\n\na.raw,"5 ul left\nb.raw,"3 ul left\nc.raw,ok\n',
        '_id;comment\r\n\r\n"a.raw;\r\nb.raw;ok\r\n',
    ],
)
def test_a_quote_that_swallows_rows_should_be_an_error_that_names_the_line(ids_path: Path, table: str) -> None:
    with pytest.raises(ConfigError, match=r"ids\.txt: not CSV, in the row that begins in line 3: .* has to end it"):
        texts_in(ids_path, table)


def test_a_row_with_more_cells_than_the_table_has_columns_should_be_an_error(ids_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the row in line 3 has more cells than the table has columns \(1\)"):
        texts_in(ids_path, "raw_file_id\na.raw\nconc_0,5ng.raw\n")
    with pytest.raises(ConfigError, match=r"the row in line 2 has more cells than the table has columns \(2\)"):
        texts_in(ids_path, "status;_id\ndone;a.raw;b.raw\n")
    assert texts_in(ids_path, "_id,status\na.raw,done,,\n") == ["a.raw"]


def test_quotes_within_a_cell_should_stay(ids_path: Path) -> None:
    assert texts_in(ids_path, '_id\tcomment\na.raw\t5" gel\nb.raw\t"5"" gel"\nc "1".raw\tok\n') == [
        "a.raw",
        "b.raw",
        'c "1".raw',
    ]


def test_rows_without_an_id_should_be_left_out_and_counted(ids_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert texts_in(ids_path, "project,_id\nP1,a\nP2\n\n , \nP3, \nP4,b\n") == ["a", "b"]
    assert "left out 2 rows of the table without an id, the first in line 3" in caplog.text


def test_a_file_should_be_read_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a b")))
    assert [asked.text for asked in read_ids_file("-")] == ["a b"]


def test_a_file_that_cannot_be_read_should_be_named(ids_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ids\.txt cannot be read: No such file"):
        read_ids_file(str(ids_path))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_ids_file(str(ids_path.parent))
    with pytest.raises(ConfigError, match="ids file /dev/zero cannot be read: it is a device, expected a file"):
        read_ids_file("/dev/zero")
    with pytest.raises(ConfigError, match="not UTF-8 text, at offset 1"):
        texts_in(ids_path, b"a\xe4")
    with pytest.raises(ConfigError, match=r"ids\.txt: not CSV, in the row that begins in line 2: field larger than"):
        texts_in(ids_path, "_id,x\n" + "y" * 200_000)

"""The catalog in a MongoDB: what is asked of it on the wire, and what is said when it fails."""

import socketserver
import struct
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from catalog_server import Catalog
from loopback_server import LoopbackServer
from plan_samples import MD5, OTHER_MD5, catalog_document
from scripted_catalog import Answer, ScriptedCatalog
from temporary_process import free_ports
from wire_tap import READ_ONLY, Command, WireTap

from planner.catalog import FIELDS
from planner.mongo_catalog import open_mongo_host, open_mongo_uri
from planner.records import FileInfoEntry, parse_record
from planner.search import Search, parse_since, parse_until
from planner.similar_ids import nearest_ids
from schemas.errors import CatalogError

IMPATIENT = "?serverSelectionTimeoutMS=300&connectTimeoutMS=300&socketTimeoutMS=300"


def find(uri: str, *ids: str) -> list[Mapping[str, object]]:
    with open_mongo_uri(uri) as catalog:
        return list(catalog.find_by_ids(ids or ["sample.raw"]))


def failure(uri: str) -> str:
    """The message with which the catalog fails; it never shows the password."""
    uri = uri.replace("mongodb://", "mongodb://user:hunter2@")
    with pytest.raises(CatalogError, match=r"^catalog mongodb://[^@]*/krakendb\.raw_file: ") as failed:
        find(uri + IMPATIENT)
    message = str(failed.value)
    assert "hunter2" not in message
    assert "user:" not in message
    assert failed.value.__cause__ is None
    return message


def scripted_failure(answer: Answer) -> str:
    with ScriptedCatalog(answer) as server:
        with pytest.raises(CatalogError) as failed:
            find(server.uri + IMPATIENT, *map(str, range(5)))
        return str(failed.value)


def first_batch(documents: list[object], cursor_id: int = 0) -> dict[str, object]:
    return {"ok": 1, "cursor": {"id": cursor_id, "ns": "krakendb.raw_file", "firstBatch": documents}}


def refused(code: int, name: str) -> dict[str, object]:
    return {"ok": 0, "code": code, "codeName": name, "errmsg": "secret hunter2\n in here"}


# --- what is found


def test_documents_should_come_with_the_fields_asked_for_only(catalog: Catalog) -> None:
    document = catalog_document("a.d", file_info={"a.d/b.c": [3.0, OTHER_MD5, f"{MD5}__5"], "x": [None, "m"]})
    catalog.insert([{**document, "size": 3.0, "_cls": "RawFile"}, catalog_document("b")])
    assert find(catalog.uri, "a.d", "none") == [document]


def test_a_search_should_find_all_and_only_what_it_asks_for(catalog: Catalog) -> None:
    def acquired(raw_file_id: str, project_id: object, instrument_id: str, day: int) -> dict[str, object]:
        created_at = datetime(2025, 1, day, 23, 59, 59, 999000, UTC)
        changes = {"project_id": project_id, "instrument_id": instrument_id, "created_at": created_at}
        return catalog_document(raw_file_id, **changes)

    catalog.insert(
        [
            acquired("a_1.raw", "P1", "astral1", 1),
            acquired("a_2.d", "P1", "tims2", 2),
            acquired("b_3.raw", "P2", "astral1", 3),
            acquired("b_4.raw", None, "astral1", 4),
            catalog_document("b_5\n.raw", project_id=..., created_at=None),
        ]
    )
    with open_mongo_uri(catalog.uri) as mongo:

        def found(**search: Any) -> set[str]:  # noqa: ANN401  # the fields of a search
            return {str(document["_id"])[:3] for document in mongo.search(Search(**search))}

        assert found(project_ids=("P1",)) == {"a_1", "a_2"}
        assert found(project_ids=("P1", "P2"), instrument_ids=("astral1",)) == {"a_1", "b_3"}
        assert found(project_ids=("P2", None)) == {"b_3", "b_4", "b_5"}
        assert found(since=parse_since("2025-01-02"), until=parse_until("2025-01-03")) == {"a_2", "b_3"}
        assert found(until=parse_until("2025-01-01")) == {"a_1"}
        assert found(patterns=("a_*", "*[4-9]?raw")) == {"a_1", "a_2", "b_4"}
        assert found(patterns=("*.raw",)) == {"a_1", "b_3", "b_4", "b_5"}
        assert found(project_ids=("none",)) == set()


def test_operators_in_what_is_asked_for_should_be_plain_text(catalog: Catalog) -> None:
    catalog.insert([catalog_document("a")])
    odd = ("$where", '{"$gt": ""}', "a.*", "")
    with open_mongo_uri(catalog.uri) as mongo:
        assert list(mongo.find_by_ids(odd)) == []
        for search in (Search(project_ids=odd), Search(instrument_ids=odd), Search(patterns=("$ne", "a.*", "(a)", ""))):
            assert list(mongo.search(search)) == []
        assert list(mongo.find_similar(["b|a", "(a|b)", "[a]"])) == []


def test_names_near_to_unknown_ones_should_be_found_without_anything_else(catalog: Catalog) -> None:
    ids = ["A.raw", "a.raw.d", "b.raw", "s.wiff"]
    catalog.insert([catalog_document(raw_file_id, original_name=f"original_{raw_file_id}") for raw_file_id in ids])
    asked = ["a.raw", "s.wiff.scan", "original_b.raw", "none"]
    with open_mongo_uri(catalog.uri) as mongo:
        found = list(mongo.find_similar(asked))
    assert {*found[0]} == {"_id", "original_name"}
    assert nearest_ids(asked, found) == {
        "a.raw": ("A.raw", "a.raw.d"),
        "s.wiff.scan": ("s.wiff",),
        "original_b.raw": ("b.raw",),
    }


def test_a_catalog_should_tell_whether_it_is_empty(catalog: Catalog) -> None:
    with open_mongo_uri(catalog.uri) as mongo:
        assert mongo.is_empty()
        catalog.insert([{"_id": 5}])
        assert not mongo.is_empty()


@pytest.mark.parametrize("milliseconds", [2**62, -(2**62), 253402300800000])
def test_a_date_that_python_cannot_hold_should_not_cost_its_document(milliseconds: int) -> None:
    documents: list[object] = [catalog_document("a", created_at=DatetimeMS(milliseconds)), catalog_document("b")]
    with ScriptedCatalog(lambda _: first_batch(documents)) as server:
        odd, right = map(parse_record, find(server.uri, "a", "b"))
    assert (odd.raw_file_id, odd.created_at, right.raw_file_id) == ("a", None, "b")
    assert isinstance(odd.entries[0], FileInfoEntry)


def test_the_uris_database_should_go_before_krakendb(catalog: Catalog) -> None:
    catalog.insert([catalog_document("a")])
    assert len(find(catalog.uri.removesuffix("krakendb"), "a")) == 1
    assert find(catalog.uri.replace("krakendb", "other"), "a") == []


# --- what goes over the wire


def test_only_reading_commands_should_ever_be_sent(catalog: Catalog) -> None:
    # given
    catalog.insert([catalog_document(f"f{number:04}") for number in range(2500)])
    # when
    with WireTap(catalog.port) as tap:
        with open_mongo_uri(tap.uri) as mongo:
            assert sum(1 for _ in mongo.find_by_ids([f"f{number:04}" for number in range(2500)])) == 2500
            next(iter(mongo.search(Search(project_ids=("PRID001",)))))  # and the cursor is left behind
            list(mongo.find_similar(["f"]))
            assert not mongo.is_empty()
        commands = tap.commands
    # then
    assert {command.name for command in commands} <= READ_ONLY
    assert {"find", "getMore"} <= {command.name for command in commands}


def test_ids_should_be_asked_for_a_thousand_at_a_time_with_the_projection(catalog: Catalog) -> None:
    ids = [f"f{number:04}" for number in range(2500)]
    with WireTap(catalog.port) as tap:
        find(tap.uri, *ids)
        finds = [command.document for command in tap.commands if command.name == "find"]
    assert [command["filter"] for command in finds] == [
        {"_id": {"$in": ids[start : start + 1000]}} for start in (0, 1000, 2000)
    ]
    assert all(command["projection"] == dict.fromkeys(FIELDS, 1) for command in finds)
    assert {(command["find"], command["$db"]) for command in finds} == {("raw_file", "krakendb")}


def test_special_characters_in_user_and_password_should_reach_the_server_as_they_are() -> None:
    """No server here can check a password: what it is asked to check, and against which database, is seen."""
    seen: list[Command] = []

    def answer(command: Command) -> dict[str, object]:
        seen.append(command)
        return refused(18, "AuthenticationFailed")

    with ScriptedCatalog(answer) as server:
        environment = {
            "MONGO_HOST": "127.0.0.1",
            "MONGO_PORT": str(server.port),
            "MONGO_USER": "kraken@:/%ro",
            "MONGO_PASSWORD": "hunter2@:/%",
        }
        with open_mongo_host(environment) as mongo, pytest.raises(CatalogError, match="authentication failed"):
            list(mongo.find_by_ids(["a"]))
    assert seen[0].name == "saslStart"
    assert seen[0].document["$db"] == "krakendb"
    assert b"n=kraken@:/%ro," in bytes(str(seen[0].document["payload"]), "utf-8")


# --- what is said when it fails


def test_a_dead_port_should_be_named() -> None:
    (port,) = free_ports(1)
    message = failure(f"mongodb://127.0.0.1:{port}/krakendb")
    assert "cannot be reached: connection refused" in message
    assert f"127.0.0.1:{port}/" in message


def test_an_unknown_host_should_be_named() -> None:
    assert "the host name is not known" in failure("mongodb://no-such-host.invalid/krakendb")


def test_a_server_without_tls_should_be_named_when_tls_is_asked_for() -> None:
    with ScriptedCatalog(lambda _: {"ok": 1}) as server, pytest.raises(CatalogError) as failed:
        find(f"{server.uri}?tls=true&serverSelectionTimeoutMS=6000")
    assert (
        "cannot be reached: the TLS handshake failed; check the certificate, the tls options, the server's own TLS"
        in str(failed.value)
    )


@pytest.mark.parametrize("mechanism", ["GSSAPI", "MONGODB-AWS"])
def test_a_login_that_needs_a_package_should_say_so(mechanism: str) -> None:
    with ScriptedCatalog(lambda _: {"ok": 1}) as server, pytest.raises(CatalogError) as failed:
        find(f"{server.uri.replace('//', '//user:hunter2@')}{IMPATIENT}&authMechanism={mechanism}")
    assert "an option of its URI asks for a Python package that is not installed" in str(failed.value)


def test_a_silent_server_should_be_named_in_bounded_time() -> None:
    silent = threading.Event()

    def answer(_command: Command) -> dict[str, object]:
        silent.wait(5)
        return {"ok": 1}

    with ScriptedCatalog(answer) as server:
        with pytest.raises(CatalogError, match="cannot be reached: timed out"):
            find(server.uri + IMPATIENT)
        silent.set()


def test_failed_authentication_should_be_named_without_user_and_password() -> None:
    with ScriptedCatalog(lambda _: refused(18, "AuthenticationFailed")) as server:
        assert "authentication failed: check user, password and authSource" in failure(server.uri)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(13, "Unauthorized"), "grant the role `read` on the database krakendb"),
        (refused(43, "CursorNotFound"), "the server refused the query (CursorNotFound, code 43)"),
        (refused(2, "Bad\x1bValue"), r"(Bad\x1bValue, code 2)"),
    ],
)
def test_a_refusal_should_be_named_without_the_servers_own_text(answer: dict[str, object], words: str) -> None:
    message = scripted_failure(lambda _: answer)
    assert words in message
    assert "hunter2" not in message
    assert message.isprintable()


def test_a_connection_that_breaks_should_be_named() -> None:
    assert "cannot be reached: the connection broke" in scripted_failure(lambda _: None)


def test_a_connection_that_breaks_in_the_middle_of_a_cursor_should_be_named() -> None:
    def answer(command: Command) -> dict[str, object] | None:
        return first_batch([catalog_document("0")], cursor_id=5) if command.name == "find" else None

    assert "cannot be reached: the connection broke" in scripted_failure(answer)


def test_a_server_that_is_too_old_should_be_named_with_its_version() -> None:
    with ScriptedCatalog(lambda _: {}, hello={"maxWireVersion": 6}) as server:
        assert "the server is too old: it speaks wire version 6, MongoDB 4." in failure(server.uri)


def test_a_server_that_is_too_new_should_be_named() -> None:
    with ScriptedCatalog(lambda _: {}, hello={"minWireVersion": 900, "maxWireVersion": 901}) as server:
        assert "the server is too new: it asks for wire version 900" in failure(server.uri)


NONSENSE: list[Mapping[str, object]] = [
    {},
    {"ok": 1},
    {"ok": "yes", "cursor": 5},
    {"ok": 1, "cursor": {}},
    {"ok": 1, "cursor": {"id": "x", "ns": 5, "firstBatch": [{"_id": "0"}]}},
    {"ok": 1, "cursor": {"id": 0, "ns": "a.b", "firstBatch": {"_id": "0"}}},
    {"ok": 1, "cursor": {"id": 0, "ns": "a.b", "firstBatch": [5]}},
    {"ok": 1, "cursor": {"id": 0, "ns": "a.b", "firstBatch": [{"no": "id"}]}},
    {"ok": 1, "cursor": {"id": 0, "ns": "a.b", "firstBatch": [{"_id": "none"}]}},
    {"ok": 1, "cursor": {"id": 0, "ns": "a.b", "firstBatch": [{"_id": 0}]}},
    {"ok": 1, "cursor": {"id": 0, "ns": "a.b", "firstBatch": [{"_id": {"a": ["0"]}}]}},
    {"ok": 1, "cursor": {"id": 0, "ns": "a.b", "firstBatch": [{"_id": "0"}, {"_id": "0"}]}},
    {"ok": 1, "cursor": {"id": 5, "ns": "a.b", "firstBatch": [], "nextBatch": []}},
]


@pytest.mark.parametrize("reply", NONSENSE)
@pytest.mark.parametrize("login", [False, True])
def test_a_server_that_answers_nonsense_should_be_one_line(reply: Mapping[str, object], *, login: bool) -> None:
    with ScriptedCatalog(lambda _: reply) as server:
        uri = server.uri.replace("mongodb://", "mongodb://user:hunter2@") if login else server.uri
        with pytest.raises(CatalogError) as failed:
            find(uri + IMPATIENT, "0")
    assert str(failed.value).startswith(f"catalog mongodb://127.0.0.1:{server.port}/krakendb.raw_file: ")
    assert str(failed.value).isprintable()
    assert "hunter2" not in str(failed.value)


def test_bytes_that_are_no_bson_should_be_one_line() -> None:
    class Garbage(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            header = self.rfile.read(16)
            if not header:
                return  # pymongo has closed a connection that it has not used
            (request_id,) = struct.unpack_from("<i", header, 4)
            self.wfile.write(struct.pack("<iiii", 16 + 21, 1, request_id, 2013) + b"\0" * 4 + b"\xff" * 17)

    with LoopbackServer(Garbage) as server, pytest.raises(CatalogError, match=r"krakendb\.raw_file: ") as failed:
        find(f"mongodb://127.0.0.1:{server.port}/krakendb{IMPATIENT}")
    assert str(failed.value).isprintable()


def test_an_empty_answer_in_mid_cursor_should_not_be_taken_for_the_end() -> None:
    batches = iter([[], [], [catalog_document("1")]])

    def answer(command: Command) -> dict[str, object]:
        if command.name == "find":
            return first_batch([catalog_document("0")], cursor_id=5)
        more = next(batches)
        return {"ok": 1, "cursor": {"id": 0 if more else 5, "ns": "krakendb.raw_file", "nextBatch": more}}

    with ScriptedCatalog(answer) as server:
        assert [document["_id"] for document in find(server.uri, "0", "1")] == ["0", "1"]


def test_a_search_that_is_answered_with_something_else_should_be_refused() -> None:
    documents: list[object] = [catalog_document("a"), catalog_document("b", project_id="P2")]
    words = "answers with the raw file 'b', asked for raw files of project 'PRID001'"
    with (
        ScriptedCatalog(lambda _: first_batch(documents)) as server,
        open_mongo_uri(server.uri) as mongo,
        pytest.raises(CatalogError, match=words),
    ):
        list(mongo.search(Search(project_ids=("PRID001",))))


def test_a_name_that_is_not_utf8_should_be_refused_by_itself() -> None:
    document = catalog_document(
        "a", file_info={"good": [3, OTHER_MD5, f"{MD5}__5"], "bad?": [3, OTHER_MD5, f"{MD5}__5"]}
    )

    def spoil(reply: bytes) -> bytes:
        return reply.replace(b"bad?", b"bad\xe4")

    with ScriptedCatalog(lambda _: first_batch([document]), spoil=spoil) as server:
        (found,) = find(server.uri, "a")
    assert [entry.relative_path for entry in parse_record(found).entries] == ["good", "bad\udce4"]

"""The catalog in a MongoDB: what is asked of it on the wire, and what is said when it fails."""

import threading
from collections.abc import Mapping

import pytest
from catalog_server import Catalog
from plan_samples import MD5, OTHER_MD5, catalog_document
from scripted_catalog import Answer, ScriptedCatalog
from temporary_process import free_ports
from wire_tap import READ_ONLY, Command, WireTap

from planner.catalog import FIELDS
from planner.mongo_catalog import open_mongo_host, open_mongo_uri
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
    catalog.insert([{**document, "status": "done", "_cls": "RawFile"}, catalog_document("b")])
    assert find(catalog.uri, "a.d", "none") == [document]


def test_raw_files_of_a_project_should_come_whole_and_sorted(catalog: Catalog) -> None:
    catalog.insert([catalog_document(raw_file_id, project_id=f"P{raw_file_id in 'ac'}") for raw_file_id in "cab"])
    with open_mongo_uri(catalog.uri) as mongo:
        assert [document["_id"] for document in mongo.find_by_project("PTrue")] == ["a", "c"]
        assert list(mongo.find_by_project("none")) == []


def test_operators_in_ids_and_projects_should_be_plain_text(catalog: Catalog) -> None:
    catalog.insert([catalog_document("a")])
    with open_mongo_uri(catalog.uri) as mongo:
        assert list(mongo.find_by_ids(["$where", '{"$gt": ""}', "a.*", ""])) == []
        assert list(mongo.find_by_project("$ne")) == []


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
            next(iter(mongo.find_by_project("PRID001")))  # and the cursor is left behind
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

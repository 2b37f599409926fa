"""Which catalog is meant."""

from pathlib import Path

import pytest

from planner.export_catalog import ExportCatalog
from planner.mongo_catalog import MongoCatalog
from planner.open_catalog import open_catalog
from schemas.errors import ConfigError


def describe(address: str | None, environment: dict[str, str] | None = None) -> str:
    with open_catalog(address, environment or {}) as catalog:
        return catalog.description


def test_an_address_without_a_scheme_should_be_a_file() -> None:
    with open_catalog("/data/raw_file.jsonl", {"MONGO_HOST": "db"}) as catalog:
        assert isinstance(catalog, ExportCatalog)
        assert catalog.description == "raw_file.jsonl"


@pytest.mark.parametrize(
    ("uri", "description"),
    [
        ("mongodb://db", "mongodb://db:27017/krakendb.raw_file"),
        ("mongodb://db:4000/", "mongodb://db:4000/krakendb.raw_file"),
        ("mongodb://user:hunter2@db/other?tls=true", "mongodb://db:27017/other.raw_file"),
        ("mongodb://user:hunt%40er2@a,b:1/krakendb", "mongodb://a:27017,b:1/krakendb.raw_file"),
        ("mongodb://[::1]:4000/x", "mongodb://[::1]:4000/x.raw_file"),
        ("mongodb+srv://user:hunter2@db.example.org/x", "mongodb+srv://db.example.org/x.raw_file"),
        ("mongodb://user:hunter2@db/krakendb\n", "mongodb://db:27017/krakendb.raw_file"),
        (" mongodb://db/?tls=false \r\n", "mongodb://db:27017/krakendb.raw_file"),
    ],
)
def test_a_uri_should_be_a_mongodb_described_without_its_password(uri: str, description: str) -> None:
    assert describe(uri) == description


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://",
        "mongodb://user:hunter2/x@db",
        "mongodb://user:27017/hunter2@db",
        "mongodb://user:hunter2@hunter2@db",
        "mongodb://user:hunter2%zz@db",
        "mongodb://user:hunter2@db:99999",
        "mongodb://user:hunter2@db/a b",
        "mongodb://user:@db/x",
        "mongodb://user:@db/x?tls=true",
        "mongodb://user:pa?authMechanism=hunter2@db/",
    ],
)
def test_a_malformed_uri_should_be_refused_without_showing_it(uri: str) -> None:
    with pytest.raises(ConfigError, match="the catalog's MongoDB URI is malformed") as refused:
        describe(uri)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("hunter2=1", "check their names and values"),
        ("tls=hunter2", "check tls"),
        ("tls=true&compressors=zstdhunter2", "check tls, compressors"),
        ("authMechanism=MONGODB-X509", "check authMechanism"),
    ],
)
def test_an_option_that_cannot_be_used_should_be_named_without_its_value(options: str, words: str) -> None:
    with pytest.raises(
        ConfigError, match="MongoDB URI has options that are unknown or invalid, or that need"
    ) as refused:
        describe(f"mongodb://user:hunter2@db/?{options}")
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("option", ["tlsCAFile", "tlsCRLFile", "tlscertificatekeyfile"])
@pytest.mark.parametrize("name", ["missing", "", "no%20pem"])
def test_a_tls_file_that_cannot_be_used_should_be_named(tmp_path: Path, option: str, name: str) -> None:
    (tmp_path / "no pem").write_text("nonsense")
    with pytest.raises(ConfigError) as refused:
        describe(f"mongodb://user:hunter2@db/?tls=true&{option}={tmp_path}/{name}&authSource=hunter2")
    assert option in str(refused.value)
    assert "hunter2" not in str(refused.value)
    if option != "tlscertificatekeyfile":
        words = f"cannot be read, or is not in PEM form: {option} {tmp_path}/{name.replace('%20', ' ')}"
        assert str(refused.value).endswith(words)


def test_another_scheme_should_be_refused() -> None:
    with pytest.raises(ConfigError, match=r"expected mongodb:// or mongodb\+srv://, or a file") as refused:
        describe("postgres://user:hunter2@db")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("address", ["mongodb:/user:hunter2@db/", "user:hunter2@db"])
def test_a_mistyped_uri_should_not_be_taken_for_a_file_and_shown(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected mongodb://…, or a file") as refused:
        describe(address)
    assert "hunter2" not in str(refused.value)

    export = tmp_path / "raw@file.jsonl"
    export.touch()
    assert describe(str(export)) == "raw@file.jsonl"


def test_alphakrakens_own_variables_should_be_used_where_no_address_is_given() -> None:
    environment = {"MONGO_HOST": "db", "MONGO_PORT": "4000", "MONGO_USER": "u@:/", "MONGO_PASSWORD": "hunter2%@:/"}
    with open_catalog(None, environment) as catalog:
        assert isinstance(catalog, MongoCatalog)
        assert catalog.description == "mongodb://db:4000/krakendb.raw_file"
    assert describe(None, {"MONGO_HOST": "db", "MONGO_PORT": ""}) == "mongodb://db:27017/krakendb.raw_file"
    assert describe(None, {"MONGO_HOST": "[::1]"}) == "mongodb://[::1]:27017/krakendb.raw_file"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MONGO_HOST": "mongodb://u:hunter2@db"}, "MONGO_HOST is not a host name"),
        ({"MONGO_HOST": "u:hunter2@db"}, "MONGO_HOST is not a host name"),
        ({"MONGO_HOST": "db:27018"}, "MONGO_HOST is not a host name (MONGO_PORT is for a port"),
        ({"MONGO_HOST": "127.0.0.1:27018"}, "MONGO_HOST is not a host name (MONGO_PORT is for a port"),
        ({"MONGO_HOST": "db", "MONGO_PORT": "tcp://1"}, "MONGO_PORT is 'tcp://1', expected a port number"),
        ({"MONGO_HOST": "db", "MONGO_PORT": "99999"}, "MONGO_PORT is '99999', expected a port number"),
        ({"MONGO_HOST": "db", "MONGO_USER": "u"}, "one is set and the other is not"),
        ({"MONGO_HOST": "db", "MONGO_PASSWORD": "hunter2"}, "one is set and the other is not"),
    ],
)
def test_variables_that_are_wrong_should_be_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        describe(None, environment)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("environment", [{}, {"MONGO_HOST": ""}])
def test_no_catalog_at_all_should_name_the_three_ways(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"MongoDB URI.*an exported file.*MONGO_HOST"):
        describe(None, environment)

"""Which catalog is meant: a MongoDB URI, an exported file, or AlphaKraken's own MONGO_* variables."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from planner.catalog import Catalog
from planner.export_catalog import ExportCatalog
from schemas.errors import ConfigError

MONGO_SCHEMES = ("mongodb://", "mongodb+srv://")


@contextmanager
def open_catalog(address: str | None, environment: Mapping[str, str]) -> Iterator[Catalog]:
    """Give the catalog that is meant.

    Args:
        address: a MongoDB URI or the path of an exported file; None to look at the environment.
        environment: for MONGO_HOST and its like.

    Raises:
        ConfigError: no catalog is named, or it is named wrongly.
    """
    if address is None and not environment.get("MONGO_HOST"):
        raise ConfigError(
            "no catalog is named: give a MongoDB URI (--catalog mongodb://… or KRAKEN_PLAN_CATALOG), an exported file "
            "(--catalog FILE), or set MONGO_HOST, MONGO_PORT, MONGO_USER and MONGO_PASSWORD"
        )
    if address is not None and "://" in address:
        address = address.strip()  # a secret out of a file ends with a newline
    if address is not None and "@" in address and "://" not in address and not Path(address).exists():
        raise ConfigError("the catalog's address is unknown: expected mongodb://…, or a file (not shown: the password)")
    if address is not None and "://" not in address:
        yield ExportCatalog(Path(address))
        return
    if address is not None and not address.startswith(MONGO_SCHEMES):
        bucket = " (a bucket is for compile and restore alone)" if address.startswith("s3://") else ""
        raise ConfigError(f"the catalog's address is unknown: expected {' or '.join(MONGO_SCHEMES)}, or a file{bucket}")
    from planner import mongo_catalog  # noqa: PLC0415  # a fifth of a second that an exported file does not need

    opened = mongo_catalog.open_mongo_host(environment) if address is None else mongo_catalog.open_mongo_uri(address)
    with opened as catalog:
        yield catalog

"""Where a page is written: a file, whole or not at all, and never over something that is no page."""

from pathlib import Path

from kraken_plan.views.page import PAGE_BEGINS, Page, render_page
from schemas.atomic_file import write_atomically
from schemas.errors import ConfigError
from schemas.text import printable


def write_page(page: Page, output: str) -> None:
    """Write a page to a path; an older page there is replaced.

    Raises:
        ConfigError: it cannot be written, or there is something else under this name: a plan, or a raw file.
    """
    path = Path(output)
    if not _may_be_replaced(path):
        raise ConfigError(f"{printable(output)}: there is something else under this name, no page; it is kept")
    write_atomically(path, [render_page(page)])


def _may_be_replaced(path: Path) -> bool:
    """Tell whether there is nothing, an empty file, or a page; what else is wrong will be said on writing."""
    if not path.is_file():
        return True
    try:
        with path.open("rb") as file:
            begin = file.read(len(PAGE_BEGINS))
    except OSError as error:
        raise ConfigError(f"cannot write {printable(str(path))}: {error.strerror or error}") from None
    return begin in {b"", PAGE_BEGINS}

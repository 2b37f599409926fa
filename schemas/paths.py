"""Decides which paths a plan may hold, and joins them.

These are pure rules on text. That no link on the way leads out of the output location is checked where files are opened
(`applier.disk.folders`).
"""

import re
import unicodedata

MAX_COMPONENT_BYTES = 255
MAX_PATH_BYTES = 4095  # what Linux opens, without the NUL at its end
STAGING_FOLDER = ".kraken-plan"
REPORT_PREFIX = "_download_status_batch_"

# Nearly all paths look like this and need no further check: no component begins with a dot or an underscore, as our own
# names do.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9][\w.-]{0,200}(/[A-Za-z0-9][\w.-]{0,200})*", re.ASCII)


_DROPPED_END = re.compile(r"[. ](/|\Z)")  # what SMB and FAT drop of a name


def join_path(base: str, relative_path: str) -> str:
    """Return the absolute path of a relative one.

    >>> join_path("/out/PRID001", "a.d/b"), join_path("/", "a")
    ('/out/PRID001/a.d/b', '/a')
    """
    return f"{base.rstrip('/')}/{relative_path}"


def path_below(path: str, base: str) -> str:
    """Return a path, which is the base or lies below it, relative to the base.

    >>> path_below("/out/PRID001", "/out"), path_below("/out", "/out"), path_below("/a", "/")
    ('PRID001', '', 'a')
    """
    return path[len(base.rstrip("/")) + 1 :]


def explain_unsafe_relative_path(path: str) -> str | None:
    """Return why this cannot be a path below a destination; None if it can."""
    if _PLAIN_PATH.fullmatch(path):
        return None
    if path.startswith("/"):
        return "it is absolute"
    components = path.split("/")
    if reason := _explain_unsafe(path, components):
        return reason
    names = folded_path(path).split("/")
    if STAGING_FOLDER in names:
        return f"{STAGING_FOLDER} is kraken-plan's own folder"
    if any(name.startswith(REPORT_PREFIX) for name in names):
        return f"{REPORT_PREFIX}… are kraken-plan's own reports"
    return None


def explain_long_path(path: str) -> str | None:
    """Return why an absolute path is too long to be opened; None if it is not.

    It could be created, folder by folder, but no program could open it afterwards.
    """
    if len(path) * 4 <= MAX_PATH_BYTES or (size := len(path.encode(errors="replace"))) <= MAX_PATH_BYTES:
        return None
    return f"with its destination it has {size:,} bytes, at most {MAX_PATH_BYTES:,} can be opened"


def folded_path(path: str) -> str:
    r"""Return a form that is the same for all paths that any file system takes for one.

    File systems differ in what they fold (case, Unicode form, invisible characters) and drop (dots and blanks at the
    end of a name, as SMB and FAT do). This folds more than any of them, so two paths with different folded forms are
    two paths everywhere.

    >>> folded_path("A.d/Cafe\u0301") == folded_path("a.D. /caf\u00e9"), folded_path(".KRAKEN\u200b-plan..")
    (True, '.kraken-plan')
    """
    if path.isascii():
        folded = path.lower()
    else:
        seen = "".join(character for character in path if unicodedata.category(character) != "Cf")
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).upper().casefold())
    if _DROPPED_END.search(folded):
        return "/".join(name.rstrip(". ") or name for name in folded.split("/"))
    return folded


def explain_unsafe_absolute_path(path: str) -> str | None:
    """Return why this cannot be an output location or destination; None if it can."""
    if not path.startswith("/"):
        return "it is not absolute"
    return None if path == "/" else _explain_unsafe(path, path[1:].split("/"))


def is_within(path: str, base: str) -> bool:
    """Tell whether a safe absolute path is the base or lies below it.

    >>> is_within("/out/a", "/out"), is_within("/out", "/out"), is_within("/output", "/out")
    (True, True, False)
    """
    return path == base or path.startswith(base.rstrip("/") + "/")


def _explain_unsafe(path: str, components: list[str]) -> str | None:
    if not path:
        return "it is empty"
    for character in path if not path.isprintable() else "":
        if unicodedata.category(character) in {"Cc", "Cs"}:
            return f"it holds the control character U+{ord(character):04X}"
    for component in components:
        if component in {"", ".", ".."}:
            return f"it has the component {component!r}"
        if len(component) * 4 > MAX_COMPONENT_BYTES and len(component.encode()) > MAX_COMPONENT_BYTES:
            return f"the component {component[:40]}… is over {MAX_COMPONENT_BYTES} bytes"
    return None

"""Finds a section `kraken_plan:` of a site YAML that stands under another name, or in another place. Pure.

Other programs' keys are none of our business. But whoever has written such a section believes that it is heeded, a
demand for approvals above all.
"""

from collections.abc import Iterable

from schemas.errors import ConfigError
from schemas.site.settings import APPROVAL_KEYS, SECTION
from schemas.text import printable

_NEAR = 0.85  # of the letters, in their order: one of the ten may be wrong, one more or one less
_MOST_LETTERS = 20


def refuse_misspelt_section(keys: Iterable[tuple[str, ...]], name: str, *, is_there: bool) -> None:
    """Refuse a YAML of which settings for us would be ignored.

    Args:
        keys: paths of those that do not lead to the section.
        name: of the YAML, for messages.
        is_there: whether the section stands in the YAML, too; below another key it may then be what is merged into it.

    Raises:
        ConfigError: there are some.
    """
    for path in keys:
        shown = ".".join(printable(key, 60) for key in path)
        at_top = len(path) == 1
        if (at_top and _is_near(path[-1])) or (not at_top and not is_there and _is_same(path[-1])):
            raise ConfigError(
                f"{name}: {shown} is not read: did you mean {SECTION}, at the top? Rename it; what is for another "
                "program needs a name that is less like it"
            )
        if path == ("allowed_output_roots",) or (path[:-1] == ("approvals",) and path[-1] in APPROVAL_KEYS):
            raise ConfigError(f"{name}: {shown} is not read: it belongs below {SECTION}, at the top")


def _is_near(key: str) -> bool:
    letters = _letters(key)
    if _is_same(key) or len(letters) > _MOST_LETTERS:
        return _is_same(key)
    import difflib  # noqa: PLC0415  # takes its time, and hardly any YAML lacks the section

    return difflib.SequenceMatcher(None, letters, _letters(SECTION)).ratio() >= _NEAR


def _is_same(key: str) -> bool:
    return _letters(key) == _letters(SECTION)


def _letters(key: str) -> str:
    return "".join(filter(str.isalnum, key.casefold()))

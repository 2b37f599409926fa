"""Formats text for people, so that nothing from a plan, a catalog or S3 can forge a line or steer a terminal."""

from collections.abc import Collection
from typing import TextIO

MAX_SHOWN_BYTES = 1000
_MOST_NAMES_LISTED = 12

# Characters that cannot be seen, and that str.isprintable takes: the blank of Braille, and the letters and marks among
# Default_Ignorable_Code_Point (https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt). What else has
# that property is a format character or unassigned, which isprintable refuses.
_INVISIBLE = frozenset(
    [*"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"]
    + [chr(number) for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for number in range(first, last + 1)]
)


def is_visible(text: str) -> bool:
    r"""Tell whether every character of a text can be printed and seen, blanks aside.

    >>> is_visible("a b"), is_visible("a\ufe0f"), is_visible("a\n")
    (True, False, False)
    """
    return text.isprintable() and _INVISIBLE.isdisjoint(text)


def printable(text: str, limit: int = MAX_SHOWN_BYTES) -> str:
    r"""Return the text on one line, with unprintable and invisible characters escaped, and cut off beyond a limit.

    Args:
        text: any text, even one with lone surrogates.
        limit: the most bytes to show (UTF-8, escapes included).

    >>> printable("a\nb\x1b[31m\u202e")
    'a\\nb\\x1b[31m\\u202e'
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    size = 0
    for number, character in enumerate(text):
        piece = character if is_visible(character) else character.encode("unicode_escape").decode("ascii")
        size += len(piece.encode())
        if size > limit:
            return f"{''.join(shown)}… ({len(text) - number} more characters)"
        shown.append(piece)
    return "".join(shown)


def writable(text: str) -> str:
    r"""Return the text with lone surrogates escaped: they have no UTF-8 form, so no plan can hold them.

    >>> writable("a\ud800\n")
    'a\\ud800\n'
    """
    return text.encode(errors="backslashreplace").decode()


def shown_on(stream: TextIO | None, text: str) -> str:
    """Return the text made printable if the stream is a terminal, and unchanged for a program that reads it."""
    return printable(text) if stream is not None and stream.isatty() else text


def counted(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`.

    >>> counted(1, "file"), counted(2500, "raw file"), counted(2, "entry"), counted(2, "day")
    ('1 file', '2,500 raw files', '2 entries', '2 days')
    """
    if number == 1:
        return f"{number:,} {noun}"
    has_ies = noun.endswith("y") and noun[-2] not in "aeiou"
    return f"{number:,} {noun[:-1]}ies" if has_ies else f"{number:,} {noun}s"


def counted_span(seconds: float) -> str:
    """Return a span of time in its largest whole unit.

    >>> counted_span(90), counted_span(3 * 86400 + 5), counted_span(59)
    ('1 minute', '3 days', '59 seconds')
    """
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            return counted(int(seconds // length), unit)
    return counted(int(seconds), "second")


def explain_unknown(name: str, known: Collection[str]) -> str:
    """Return what to write instead of a name that is not known: the nearest one, or all if they are few.

    >>> explain_unknown("optons", ["options", "commands"])
    'did you mean options?'
    >>> explain_unknown("x", ["options", "commands"])
    'expected commands or options'
    """
    import difflib  # noqa: PLC0415  # takes its time, and few names are wrong

    folded = {other.casefold(): other for other in known}
    if near := difflib.get_close_matches(name.casefold(), folded, n=1):
        return f"did you mean {folded[near[0]]}?"
    names = sorted(known)
    if not names or len(names) > _MOST_NAMES_LISTED:
        return "there is nothing like it"
    return f"expected {' or '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}"


def human_size(size_bytes: int) -> str:
    """Return a size for people, in binary units; below 1 KiB it is exact.

    >>> human_size(1023), human_size(1024), human_size(2_224_281_231), human_size(40 * 1024**4)
    ('1,023 B', '1.0 KiB', '2.1 GiB', '40.0 TiB')
    """
    if size_bytes < 1024:  # noqa: PLR2004  # the unit
        return f"{size_bytes:,} B"
    size, unit = size_bytes / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB", "PiB"):
        if size < 1023.95:  # noqa: PLR2004  # or it would be shown as 1024.0
            break
        size, unit = size / 1024, larger
    return f"{size:,.1f} {unit}"


def human_rate(bytes_per_second: float) -> str:
    """Return a rate for people.

    >>> human_rate(110_100_480)
    '105.0 MiB/s'
    """
    return f"{human_size(round(bytes_per_second))}/s"

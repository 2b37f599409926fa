"""Texts for people: nothing that came from a plan, a catalog or S3 may forge a line or steer a terminal."""

MAX_SHOWN_CHARACTERS = 1000


def printable(text: str, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    r"""Return the text on one line: what `str.isprintable` is false for is escaped, what is too long is cut.

    >>> printable("a\nb\x1b[31m\u202e")
    'a\\nb\\x1b[31m\\u202e'
    """
    if len(text) > limit:
        text = text[:limit] + f"… ({len(text) - limit} more characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def writable(text: str) -> str:
    r"""Return a text that has a UTF-8 form: lone surrogates, which a plan cannot hold, are escaped.

    >>> writable("a\ud800\n")
    'a\\ud800\n'
    """
    return text.encode(errors="backslashreplace").decode()


def counted(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`.

    >>> counted(1, "file"), counted(2500, "raw file")
    ('1 file', '2,500 raw files')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

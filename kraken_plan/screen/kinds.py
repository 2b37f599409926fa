"""Names the ways in which progress is shown; loads nothing, because every help text lists them."""

from enum import Enum


class ProgressKind(Enum):
    """How progress is shown; the value is what users call it."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    JSON = "json"
    NONE = "none"

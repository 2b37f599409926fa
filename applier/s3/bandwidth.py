"""Limits the bytes that all threads together fetch per second: says how much to ask for next, and when.

Only calculates; the fetcher waits and asks. The wait comes before the request, never in the middle of an answer, so
that S3 never meets a slow reader and every timeout keeps its meaning, however low the limit is.
"""

import re
import threading
import time
from collections.abc import Callable

# Together one second: the most that is ever fetched in advance of the rate.
_REQUEST_SECONDS = 0.25
_SAVED_SECONDS = 0.75  # a short hiccup is caught up with, an idle hour is not

_RATE = re.compile(r"([0-9]{1,12})(?:([KMG])(B|iB)?|B)?", re.IGNORECASE | re.ASCII)
_POWERS = {"K": 1, "M": 2, "G": 3}


def parse_rate(text: str) -> int:
    """Return a rate in bytes per second.

    K, M and G, alone or as KiB, MiB and GiB, are powers of 1024, as the letters are to `rclone --bwlimit` and to the
    AWS CLI's `max_bandwidth`. KB, MB and GB are powers of 1000.

    Raises:
        ValueError: it is not a whole number above 0, with or without one of these units.

    >>> parse_rate("200M"), parse_rate("100MiB"), parse_rate("100MB")
    (209715200, 104857600, 100000000)
    """
    match = _RATE.fullmatch(text)
    rate = 0
    if match is not None:
        base = 1000 if (match[3] or "").upper() == "B" else 1024
        rate = int(match[1]) * base ** _POWERS.get((match[2] or "").upper(), 0)
    if rate == 0:
        raise ValueError(
            f"{text!r} is not a rate: expected bytes per second, a whole number above 0 with or without K, M or G (or "
            "KiB, MiB, GiB: powers of 1024) or KB, MB or GB (powers of 1000), for example 200M"
        )
    return rate


class BandwidthLimit:
    """Serves requests first come, first served.

    In any t seconds, requests for at most `bytes_per_second` * (t + 1) bytes begin (one byte more below 4 per second).

    Args:
        bytes_per_second: at least 1.
        clock: monotonic, in seconds.
    """

    def __init__(self, bytes_per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_per_second, self._clock = bytes_per_second, clock
        self._largest_request_bytes = max(1, int(bytes_per_second * _REQUEST_SECONDS))
        self._free_at = clock()
        self._lock = threading.Lock()

    def reserve(self, wanted_bytes: int) -> tuple[int, float]:
        """Return how many bytes the next request may ask for, and how many seconds to wait before it."""
        granted_bytes = min(wanted_bytes, self._largest_request_bytes)
        with self._lock:
            now = self._clock()
            begin = max(self._free_at, now - _SAVED_SECONDS)
            self._free_at = begin + granted_bytes / self._bytes_per_second
        return granted_bytes, max(0.0, begin - now)

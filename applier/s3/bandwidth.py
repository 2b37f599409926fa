"""A limit on the bytes fetched a second, over all threads together: how much to ask for next, and when.

Arithmetic only: `fetch` waits and asks. The wait comes before the request, never in the midst of an answer, so S3 meets
no slow reader and every timeout keeps its meaning, however low the limit.
"""

import re
import threading
import time
from collections.abc import Callable

# Together a second: the most that is ever fetched above the rate.
_REQUEST_SECONDS = 0.25
_SAVED_SECONDS = 0.75  # what a hiccup left unused is caught up, an idle hour is not

_RATE = r"([0-9]{1,12})([KMGkmg]?)"
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def parse_rate(text: str) -> int:
    """Return a rate in bytes a second.

    K, M and G are powers of 1024, as they are to `rclone --bwlimit` and to the AWS CLI's `max_bandwidth`.

    Raises:
        ValueError: it is no whole number above 0, with one of these letters or without.

    >>> parse_rate("200M")
    209715200
    """
    match = re.fullmatch(_RATE, text)
    rate = int(match[1]) * _UNITS[match[2].upper()] if match else 0
    if rate == 0:
        raise ValueError(
            f"{text!r} is no rate: give bytes a second, a whole number above 0, which K, M or G (powers of 1024) "
            "may follow, for example 200M"
        )
    return rate


class BandwidthLimit:
    """Gives every request its place in one queue; fair, for whoever asks first goes first.

    In any t seconds, requests for at most `bytes_per_second` * (t + 1) bytes are begun, a byte more below 4 a second.

    Args:
        bytes_per_second: at least 1.
        clock: seconds that only grow.
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

"""Ids that sort by time and cannot collide."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta

from rekindle.store.types import utc

__all__ = ["new_id"]

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)  # replays of old streams live before 1970
_MILLISECOND = timedelta(milliseconds=1)
_TAIL_BITS = 80


class _Sequence:
    """The last id of this process; each next one is larger, whatever the clock does."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.millisecond = -1
        self.tail = 0

    def after(self, millisecond: int) -> int:
        noise = int.from_bytes(os.urandom(10), "big")
        with self.lock:
            if millisecond > self.millisecond:
                # the top bit stays free: room for 2**47 ids within one millisecond
                self.millisecond, self.tail = millisecond, noise >> 1
            else:
                self.tail += 1 + (noise & 0xFFFFFFFF)
            return (self.millisecond << _TAIL_BITS) + self.tail

    def restart(self) -> None:
        """In a forked child: keep the order, but leave the parent's random start."""
        self.lock = threading.Lock()
        self.tail = int.from_bytes(os.urandom(10), "big") >> 1
        self.millisecond += 1


_sequence = _Sequence()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sequence.restart)


def new_id(prefix: str, moment: datetime) -> str:
    """A new id: the prefix and 26 characters, 48 bits of milliseconds since 1900 and 80 random bits.

    Within one process every id is larger than the one before, also when the clock stands still or steps back.
    Between processes they sort by `moment` (aware, to the millisecond; times before 1900 count as 1900).

    >>> first, second = (new_id("run-", datetime(2026, 1, 1, tzinfo=UTC)) for _ in range(2))
    >>> first < second, len(first)
    (True, 30)
    """
    millisecond = max(0, (utc(moment) - _EPOCH) // _MILLISECOND)
    number = _sequence.after(millisecond)
    return prefix + "".join(_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))

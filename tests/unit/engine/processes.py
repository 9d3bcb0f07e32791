"""Looking at processes from outside, for the tests of this room."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def until(true: Callable[[], object], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.01)
    return bool(true())


def numbers(file: Path) -> list[int]:
    assert until(lambda: file.exists() and file.read_text().endswith("."))
    return [int(word) for word in file.read_text().rstrip(".").split()]

"""One process acts on a home at a time; the lock says who, and dies with its holder."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

import rekindle.app.lock as locks
from rekindle.app.lock import Holder, HomeLock
from rekindle.errors import HomeBusy, StoreError

HOLD = """
import sys, time
from pathlib import Path
from rekindle.app.lock import HomeLock
with HomeLock(Path(sys.argv[1])).held("up"):
    if len(sys.argv) > 2:  # a child of its own, as a training is
        import subprocess
        subprocess.Popen([sys.executable, "-c", "import time; print('child', flush=True); time.sleep(60)"])
        time.sleep(0.3)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the home as `up`; killed at the end."""
    running = []

    def start(*more):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), *more], stdout=subprocess.PIPE,
                                   start_new_session=True, text=True)  # fmt: skip
        running.append(process)
        while process.stdout.readline().strip() != "held":
            assert process.poll() is None
        return process

    yield start
    for process in running:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_a_second_process_is_refused_and_told_by_whom(tmp_path, holder):
    other = holder()
    with (
        pytest.raises(HomeBusy, match=rf"`rekindle up` \(process {other.pid}\).*stop it first"),
        HomeLock(tmp_path).held("tick"),
    ):
        pass
    assert HomeLock(tmp_path).holder() == Holder(other.pid, "up")


def test_a_killed_holder_lets_go(tmp_path, holder):
    """Also when a child of it lives on: the lock must not be inherited."""
    for more in ((), ("child",)):
        other = holder(*more)
        other.kill()
        other.wait()
        with HomeLock(tmp_path).held("tick"):
            assert HomeLock(tmp_path).holder() == Holder(os.getpid(), "tick")


def test_it_waits_as_long_as_it_is_told(tmp_path, holder):
    other = holder()
    threading.Timer(0.3, other.kill).start()
    with HomeLock(tmp_path).held("tick", wait=30):
        pass


def test_nobody_holds_it_before_and_after(tmp_path):
    lock = HomeLock(tmp_path)
    assert lock.holder() is None
    with lock.held("tick"):
        assert lock.holder() == Holder(os.getpid(), "this process")
        assert HomeLock(tmp_path).holder() == Holder(os.getpid(), "tick")
    assert lock.holder() is None
    assert HomeLock(tmp_path).holder() is None


def test_nested_blocks_share_it(tmp_path):
    lock = HomeLock(tmp_path)
    with lock.held("up"):
        with lock.held("tick"), lock.held("retrain"):
            pass
        assert HomeLock(tmp_path).holder() == Holder(os.getpid(), "up"), "the inner ones do not let go"
    assert HomeLock(tmp_path).holder() is None


def test_an_error_inside_lets_go(tmp_path):
    lock = HomeLock(tmp_path)
    with pytest.raises(ZeroDivisionError), lock.held("tick"):
        raise ZeroDivisionError
    with HomeLock(tmp_path).held("tick"):
        pass
    with pytest.raises(ZeroDivisionError), lock.held("up"), lock.held("tick"):
        raise ZeroDivisionError
    assert lock.holder() is None


def test_a_mere_look_keeps_nobody_out(tmp_path):
    """`status` asks who holds the lock by taking it for a moment; a stale name in the file must not matter."""
    lock = HomeLock(tmp_path)
    lock.path.write_text('{"pid": 1, "verb": "up"}')  # its holder was killed
    looking = os.open(lock.path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_EX)
    threading.Timer(0.05, os.close, [looking]).start()
    with lock.held("tick"):
        assert HomeLock(tmp_path).holder() == Holder(os.getpid(), "tick")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"pid": "x"}', b"\xff\xfe"])
def test_a_lock_file_that_says_nothing(tmp_path, text, monkeypatch):
    monkeypatch.setattr(locks, "LOOKING", 0.0)
    lock = HomeLock(tmp_path)
    with lock.held("up"):
        lock.path.write_bytes(text)
        assert HomeLock(tmp_path).holder() == Holder(0, "?")
        with pytest.raises(HomeBusy, match=r"process 0"), HomeLock(tmp_path).held("tick"):
            pass


def test_a_full_disk_leaves_the_lock_without_a_name(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(locks.os, "pwrite", full)
    with HomeLock(tmp_path).held("up"):
        assert HomeLock(tmp_path).holder() == Holder(0, "?")


def test_a_home_that_cannot_be_written(tmp_path):
    with (
        pytest.raises(StoreError, match=r"cannot be written.*--home FOLDER"),
        HomeLock(tmp_path / "nowhere").held("tick"),
    ):
        pass

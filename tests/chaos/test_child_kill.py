"""Trainings never outlive the process that ordered them, however it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills process groups")

SCRIPT = """
import os, re, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # CI may start us with Ctrl-C ignored
from pathlib import Path
from rekindle.engine import Nursery

mode, folder = sys.argv[1], Path(sys.argv[2])

def train(folder, mode):
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder / "pids").write_text(f"{os.getpid()} {os.getppid()} {grandchild.pid}.")
    if mode == "busy":
        re.match(r"(a+)+$", "a" * 60 + "b")  # holds the interpreter lock for years
    time.sleep(60)

nursery = Nursery(["cloudpickle"], fork=mode != "fresh")
nursery.warm()
if mode == "copied" and os.fork() == 0:  # a copy of the parent that keeps the pipe to the nursery open
    (folder / "copy").write_text(f"{os.getpid()}.")
    time.sleep(60)
nursery.run(train, folder, mode, folder=folder / "job")
"""


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def numbers(file: Path) -> list[int]:
    deadline = time.monotonic() + 20
    while not (file.exists() and file.read_text().endswith(".")):
        assert time.monotonic() < deadline, f"{file} was never written"
        time.sleep(0.01)
    return [int(word) for word in file.read_text().rstrip(".").split()]


def all_gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not all(map(gone, pids)):
        time.sleep(0.01)
    return all(map(gone, pids))


def start(mode: str, folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, mode, folder], env=environment, cwd=folder)


@pytest.mark.parametrize("mode", ["forked", "fresh", "busy", "copied"])
def test_kill_9_of_the_parent_ends_nursery_child_and_grandchild(mode: str, tmp_path: Path) -> None:
    script = start(mode, tmp_path)
    pids = numbers(tmp_path / "pids")
    try:
        script.send_signal(signal.SIGKILL)
        script.wait()
        assert all_gone(pids if mode != "fresh" else [pids[0], pids[2]], 2.0)
    finally:
        if mode == "copied":
            os.kill(numbers(tmp_path / "copy")[0], signal.SIGKILL)


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a busy child notices when it lets go of the lock"
)
def test_kill_9_of_parent_and_nursery_at_once_ends_a_busy_child(tmp_path: Path) -> None:
    script = start("busy", tmp_path)
    pids = numbers(tmp_path / "pids")
    os.kill(script.pid, signal.SIGSTOP)  # so that the parent cannot act on the nursery's death
    os.kill(pids[1], signal.SIGKILL)
    script.send_signal(signal.SIGKILL)
    script.wait()
    assert all_gone(pids, 2.0)


def test_ctrl_c_ends_the_training_and_leaves_nothing(tmp_path: Path) -> None:
    script = start("forked", tmp_path)
    pids = numbers(tmp_path / "pids")
    script.send_signal(signal.SIGINT)
    assert script.wait(10) != 0
    assert all_gone(pids, 2.0)

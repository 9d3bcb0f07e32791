"""A real `rekindle up` on a small loops file whose steps can be held up, looked at and killed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import duckdb
import pandas as pd
import psutil

from rekindle import retrain
from rekindle.app.cli import build
from rekindle.app.cli.ending import run_to_exit_code

# Each step says that it is reached and then waits while the file `hold` names it; nothing sleeps, nothing is timed.
LOOPS = """
import os
import time
from pathlib import Path

from sklearn.linear_model import LogisticRegression

import rekindle as rk
from rekindle import retrain

HERE = Path(__file__).parent
PARENT = os.getpid()  # it travels to the training child with this module


def wait_at(place):
    hold = HERE / "hold"
    if hold.exists() and hold.read_text() == place:
        (HERE / "reached").write_text(place)
        while hold.exists():
            time.sleep(0.01)


def held(name):
    act = getattr(retrain, name)

    def acts_and_waits(*given):
        found = act(*given)
        wait_at(name)  # the work is done, and nobody has noted it yet
        return found

    setattr(retrain, name, acts_and_waits)


for step in retrain.STEPS:
    held(step)


class Slow(rk.Estimator):
    def fit(self, train, valid, previous):
        wait_at("inside train")
        return super().fit(train, valid, previous)


def loss(actual, predicted):
    if os.getpid() != PARENT:  # in the child of `validate`
        wait_at("inside validate")
    return (actual != predicted).astype(float)


def gate(candidate, champion, rows, run):
    wait_at("inside judge")
    return rk.MinLift(-1.0)(candidate, champion, rows, run)


toy = rk.Loop(
    "toy",
    source=rk.Parquet(HERE / "rows.parquet", time="t", label="label"),
    trainer=Slow(LogisticRegression()),
    every=100,
    loss=loss,
    policy=rk.Always(),
    guards=[],
    gates=[gate],
)
"""


class Yard:
    """A folder with loops file, rows and home, and the processes started there."""

    def __init__(self, folder: Path, frame: pd.DataFrame, loops: str = LOOPS) -> None:
        self.folder, self.frame = folder, frame
        self.started: list[subprocess.Popen[str]] = []
        self.seen: list[psutil.Process] = []
        (folder / "loops.py").write_text(loops)

    def rows(self, count: int) -> None:
        """So many rows are in the file from now on; it is never seen half written."""
        part = self.folder / "rows.part"
        frame = self.frame.head(count)
        duckdb.sql("SELECT * FROM frame").write_parquet(str(part))
        assert len(frame) == count
        part.replace(self.folder / "rows.parquet")

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """A rekindle process; its output goes to `out.txt`."""
        code = "from rekindle.app.cli import main; main()"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "REKINDLE_HOME": str(self.folder / "home"),
        }
        with (self.folder / "out.txt").open("a") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *words],
                cwd=self.folder,
                env=environment,
                stdout=out,
                stderr=out,
                text=True,
            )
        self.started.append(process)
        return process

    def say(self, *words: str) -> tuple[int, str]:
        """Run a rekindle command in this process (a process of its own takes 2 s more): exit code and output."""
        kept = {step: getattr(retrain, step) for step in retrain.STEPS}  # the loops file changes them
        out = io.StringIO()
        try:
            with chdir(self.folder), redirect_stdout(out), redirect_stderr(out):
                return run_to_exit_code(build, [*words, "--home", str(self.folder / "home")]), out.getvalue()
        finally:
            for step, act in kept.items():
                setattr(retrain, step, act)

    def output(self) -> str:
        """All that was printed so far."""
        out = self.folder / "out.txt"
        return out.read_text() if out.exists() else ""

    def hold(self, place: str) -> None:
        """Hold processes up at this place."""
        (self.folder / "reached").unlink(missing_ok=True)
        (self.folder / "hold").write_text(place)

    def let_go(self) -> None:
        """Hold nobody up any more."""
        (self.folder / "hold").unlink(missing_ok=True)

    def await_reached(self, process: subprocess.Popen[str]) -> None:
        """Wait until a process is held up."""
        self.until(lambda: (self.folder / "reached").exists(), process)

    def until(self, true: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
        """Wait for something, at most 60 s, or until the process has ended."""
        deadline = time.monotonic() + 60
        while not true():
            ended = process is not None and process.poll() is not None
            assert not ended, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.02)

    def family(self, process: subprocess.Popen[str]) -> list[psutil.Process]:
        """The process and all below it, remembered to be looked for later."""
        top = psutil.Process(process.pid)
        found = [top, *top.children(recursive=True)]
        self.seen += found
        return found

    def gone(self) -> bool:
        """Has everything that `family` saw ended?"""
        return all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in self.seen)

    def close(self) -> None:
        """Leave nothing behind."""
        self.let_go()
        for process in self.started:
            if process.poll() is None:
                self.family(process)
                process.kill()
            process.wait(10)
        for left in self.seen:
            if left.is_running() and left.status() != psutil.STATUS_ZOMBIE:
                left.kill()

"""What every benchmark prints and keeps: a Markdown table with goal, machine, load and commit."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Measure:
    """One line of a table."""

    what: str
    values: Sequence[float]  # one per repetition
    unit: str
    goal: float | None = None  # at most
    note: str = ""

    @property
    def median(self) -> float:
        """The figure that counts."""
        return statistics.median(self.values)

    def line(self) -> str:
        """As a table row."""
        goal = "" if self.goal is None else f"<= {self.goal:g}"
        met = "" if self.goal is None else ("yes" if self.median <= self.goal else "**no**")
        spread = f"{min(self.values):.4g} .. {max(self.values):.4g}" if len(self.values) > 1 else ""
        cells = (self.what, f"{self.median:.4g}", self.unit, goal, met, spread, len(self.values), self.note)
        return f"| {' | '.join(map(str, cells))} |"


def load() -> str:
    """The load averages of the machine."""
    return "/".join(f"{one:.1f}" for one in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def publish(
    name: str, title: str, about: str, measures: Sequence[Measure], before: str, more: str = ""
) -> None:
    """Print the table and write it to benchmarks/results/NAME.md. `before` is the load when the bench began."""
    head = "| what | median | unit | goal | met | range | n | note |\n|---|---|---|---|---|---|---|---|"
    where = f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    text = (
        f"# {title}\n\nMade by `python benchmarks/{name}.py`. {about}\n\n{where}; load average {before} at the start, "
        f"{load()} at the end; commit {_commit()}.\n\n{head}\n" + "\n".join(m.line() for m in measures) + "\n"
    )
    text += f"\n{more.strip()}\n" if more else ""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    print(text, end="")


def progress(text: str) -> None:
    """A line for whoever watches; not part of the result."""
    print(text, file=sys.stderr, flush=True)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str:
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return commit + (" and uncommitted changes" if _git("status", "--porcelain", "--", "src") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
    ).stdout.strip()

"""How quickly a command answers: CPU seconds of `rekindle --help`, of the import, and of a fleet of 1,000 loops.

python benchmarks/startup.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import Measure, load, publish

FLEET = '''"""A thousand models that share a price."""
import rekindle as rk
from sklearn.linear_model import LogisticRegression

price = rk.Price(per_error=0.35, per_retrain=4.0, currency="EUR")


def loops():
    for k in range(1000):
        yield rk.Loop(f"shop-{k:04d}", rk.Parquet(f"shops/{k:04d}.parquet", time="ts", label="sold"),
                      rk.Estimator(LogisticRegression()), policy=rk.SkiRental(price))
'''
LOAD = """import time
begun = time.perf_counter()
from rekindle.app.loading import load_loops
imported = time.perf_counter()
found = load_loops("fleet.py").loops
assert len(found) == 1000
print(time.perf_counter() - imported, imported - begun)
"""
OPEN = """import time
import rekindle as rk
from rekindle.app.home import Home
begun = time.perf_counter()
home = rk.open("fleet.py", home={home!r})
print(time.perf_counter() - begun)
"""


def cpu(command: list[str], folder: str | None = None) -> float:
    """CPU seconds of one command, children included."""
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def said(code: str, folder: str) -> list[float]:
    """The numbers that a piece of Python prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=folder
    )
    return [float(word) for word in done.stdout.split()]


def wall(command: list[str], folder: str) -> float:
    """Seconds on the clock."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - begun


def main() -> None:
    before = load()
    rekindle = str(Path(sys.executable).parent / "rekindle")
    helps = [cpu([rekindle, "--help"]) for _ in range(12)][1:]
    imports = [cpu([sys.executable, "-c", "import rekindle"]) for _ in range(12)][1:]
    bare = [cpu([sys.executable, "-c", "pass"]) for _ in range(12)][1:]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "fleet.py").write_text(FLEET)
        loads = [said(LOAD, folder) for _ in range(6)][1:]
        opened = [said(OPEN.format(home=f"home-{k}"), folder)[0] for k in range(5)]
        again = [said(OPEN.format(home="home-0"), folder)[0] for _ in range(5)]
        paused = [wall([rekindle, "pause", "shop-000*", "--home", "home-0"], folder) for _ in range(5)]
    measures = [
        Measure("`rekindle --help`", helps, "CPU s", 0.3),
        Measure("`import rekindle`", imports, "CPU s"),
        Measure("a bare Python, for comparison", bare, "CPU s"),
        Measure("loading a fleet of 1,000 loops", [one for one, _ in loads], "s", 2.0),
        Measure("imports before it", [two for _, two in loads], "s", note="scikit-learn, pandas, SQLAlchemy"),
        Measure("opening a new home with it", opened, "s", note="loading and registering all 1,000"),
        Measure("opening it again", again, "s", note="nothing changed"),
        Measure("`rekindle pause 'shop-000*'` in it", paused, "s", note="a whole command"),
    ]
    publish("startup", "Start-up", "Medians over processes of their own.", measures, before)


if __name__ == "__main__":
    main()

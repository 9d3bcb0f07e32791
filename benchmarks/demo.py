"""The demo: its own replay, and one of 120,000 rows x 30 columns of generated data, baselines included.

python benchmarks/demo.py            takes a few minutes
python benchmarks/demo.py --small    only the demo itself
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from report import Measure, load, progress, publish

ROWS, FEATURES = 120_000, 28  # with time and label 30 columns


def generated(path: Path) -> None:
    """Rows whose relation turns slowly and jumps once; a few categories and missing values among them."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, FEATURES - 4))
    turn = np.linspace(0, 1.2, ROWS) + (np.arange(ROWS) > 0.6 * ROWS) * 0.8
    score = np.cos(turn) * values[:, 0] + np.sin(turn) * values[:, 1] + 0.5 * values[:, 2] * values[:, 3]
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(FEATURES - 4)])
    for i in range(4):
        frame[f"c{i}"] = rng.choice(list("abcdef"), ROWS)
    frame.loc[rng.random(ROWS) < 0.05, "x5"] = np.nan
    frame["t"] = np.arange(ROWS)
    frame["label"] = (score + rng.logistic(scale=0.5, size=ROWS) > 0).astype(int)
    duckdb.from_df(frame).write_parquet(str(path))


def replay(*words: str) -> tuple[float, dict[str, object]]:
    """Seconds and result of one `rekindle demo --json`."""
    rekindle = str(Path(sys.executable).parent / "rekindle")
    begun = time.perf_counter()
    done = subprocess.run([rekindle, "demo", "--json", *words], check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, json.loads(done.stdout)


def summary(name: str, told: dict) -> str:  # type: ignore[type-arg]
    """One replay in a line."""
    base = told["baselines"]
    return (
        f"{name}: {told['retrains']} trainings, cost {told['cost']:.3f}, never {base['never']['cost']:.3f}, "
        f"always {base['always']['cost']:.3f}"
    )


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--small", action="store_true")
    small, before = ask.parse_args().small, load()
    own = [replay() for _ in range(3)]
    measures = [Measure("`rekindle demo`, the whole command", [s for s, _ in own], "s", 30)]
    lines = [summary("credit", own[0][1])]
    if not small:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "generated.parquet"
            generated(path)
            progress("replaying 120,000 rows x 30 columns ...")
            seconds, told = replay("--data", str(path), "--time", "t", "--label", "label")
        measures.append(
            Measure("`rekindle demo --data` of 120,000 x 30", [seconds], "s", 240, "baselines included")
        )
        lines.append(summary("generated", told))
    publish("demo", "Demo", "Whole commands, start-up included.", measures, before, "\n\n".join(lines))


if __name__ == "__main__":
    main()

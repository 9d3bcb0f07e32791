"""The overhead of a run beyond fitting and predicting.

    python benchmarks/run.py

Retrainings by hand on a real home: 50,000 rows x 20 features of Parquet, boosted trees. What the two fits (twin and
candidate) and the predictions of the judged rows take is reported by the run or measured beside it, and taken off.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from report import Measure, load, publish
from sklearn.ensemble import HistGradientBoostingClassifier

import rekindle as rk
from rekindle.retrain import STEPS
from rekindle.store import steps

ROWS, FEATURES, HISTORY = 2_500, 20, 20


def write(folder: Path, day: int) -> pd.DataFrame:
    """One day of rows."""
    rng = np.random.default_rng(day)
    values = rng.normal(size=(ROWS, FEATURES))
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(FEATURES)])
    frame["label"] = (values[:, 0] + values[:, 1] ** 2 + rng.logistic(size=ROWS) > 1).astype(int)
    frame["second"] = day * 86_400 + np.sort(rng.integers(0, 86_399, ROWS))
    frame.loc[ROWS - 1, "second"] = (
        day * 86_400 + 86_399
    )  # an index is complete when its newest value is there
    duckdb.from_df(frame).write_parquet(str(folder / f"day-{day:03d}.parquet"))
    return frame


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--runs", type=int, default=9)
    wanted, before = ask.parse_args().runs, load()
    over, whole, fitting, first = [], [], [], []
    each: dict[str, list[float]] = {name: [] for name in STEPS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "rows"
        folder.mkdir()
        for day in range(HISTORY):
            write(folder, day)
        loop = rk.Loop(
            "bench",
            rk.Parquet(folder, time="second", label="label"),
            rk.Estimator(HistGradientBoostingClassifier(max_iter=30)),
            every=86_400,
            policy=rk.Never(),
            gates=[rk.RelativeTo(0.5)],
        )
        with rk.open([loop], home=str(Path(scratch) / "home")) as home:
            begun = time.perf_counter()
            report = home.tick("bench")
            told = report.run.metadata if report.run else {}
            first.append(time.perf_counter() - begun - told["fit_seconds"] - told.get("twin_seconds", 0.0))
            for day in range(HISTORY, HISTORY + wanted):
                frame = write(folder, day)
                home.tick("bench")
                bundle = home.champion("bench")
                begun = time.perf_counter()
                bundle.predict(frame)
                predicts = 2 * (time.perf_counter() - begun)  # twin and champion
                begun = time.perf_counter()
                report = home.retrain("bench", "benchmark")
                whole.append(time.perf_counter() - begun)
                assert report.run is not None
                assert report.outcome == "PROMOTED", report.run.cause
                told = report.run.metadata
                fitting.append(told["fit_seconds"] + told["twin_seconds"])
                over.append(whole[-1] - fitting[-1] - predicts)
                with home.store.read() as conn:
                    for step in steps.steps(conn, report.run.id):
                        assert step.finished_at is not None
                        each[step.name].append((step.finished_at - step.started_at).total_seconds())
                each["train"][-1] -= fitting[-1]
                each["validate"][-1] -= predicts
    measures = [
        Measure("run overhead beyond fit and predict", over, "s", 1.0),
        Measure("whole run", whole, "s"),
        Measure("the two fits", fitting, "s"),
        # The release is one transaction, told with a single time.
        *(Measure(f"... of the overhead: {n}", s, "s") for n, s in each.items() if n != "release"),
        Measure(
            "the first run of a process",
            first,
            "s",
            note="beyond its fits; starts the nursery and scores nothing before",
        ),
    ]
    publish(
        "run",
        "Run",
        "50,000 to 70,000 rows x 20 features, boosted trees, a real home on Parquet.",
        measures,
        before,
    )


if __name__ == "__main__":
    main()

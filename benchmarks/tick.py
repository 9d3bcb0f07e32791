"""The overhead of a tick: 50 features, 10,000 new rows in Parquet, 5 triggers; without training and predicting.

    python benchmarks/tick.py

A real home, one file a day. Each of the ticks reads one new day, checks its rows, scores them under the champion,
shows them to five triggers, decides and stores. What the model itself needs to predict the same rows is measured
beside it and taken off.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from report import Measure, load, publish
from sklearn.linear_model import LogisticRegression

import rekindle as rk
from rekindle.clock import ManualClock

START, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
FEATURES, ROWS = 50, 10_000


def write(folder: Path, day: int, rows: int = ROWS) -> pd.DataFrame:
    """One day of rows: numbers, a few categories, a missing value here and there."""
    rng = np.random.default_rng(day)
    values = rng.normal(size=(rows, FEATURES - 5))
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(FEATURES - 5)])
    for i in range(5):
        frame[f"c{i}"] = rng.choice(["north", "south", "east", "west"], rows)
    frame.loc[rng.random(rows) < 0.02, "x9"] = 0.0
    frame["label"] = (values[:, 0] + values[:, 1] + rng.logistic(size=rows) > 0).astype(int)
    seconds = pd.to_timedelta(np.sort(rng.integers(0, 86_400, rows)), unit="s")
    frame["ts"] = (pd.Timestamp(START) + day * DAY + seconds).as_unit("us")
    duckdb.from_df(frame).write_parquet(str(folder / f"day-{day:03d}.parquet"))
    return frame


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--ticks", type=int, default=25)
    ticks, before = ask.parse_args().ticks, load()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "rows"
        folder.mkdir()
        history = 10
        for day in range(history):
            write(folder, day)
        loop = rk.Loop(
            "bench",
            rk.Parquet(folder, time="ts", label="label"),
            rk.Estimator(LogisticRegression(max_iter=200)),
            triggers=[rk.DataDrift(), rk.PerformanceDecay(), rk.MetricFloor(metric="accuracy", floor=0.1),
                      rk.Schedule("3650d"), rk.Volume(10**9)],
            policy=rk.Never(),
        )  # fmt: skip
        clock = ManualClock(START + history * DAY)
        whole, predicting, burnt = [], [], []
        with rk.open([loop], clock=clock, home=str(Path(scratch) / "home")) as home:
            home.tick("bench")
            bundle = home.champion("bench")
            for day in range(history, history + ticks + 3):
                frame = write(folder, day)
                clock.advance(DAY)
                begun, cpu = time.perf_counter(), time.process_time()
                report = home.tick("bench")
                whole.append(1e3 * (time.perf_counter() - begun))
                burnt.append(1e3 * (time.process_time() - cpu))
                assert len(report.decisions) == 1
                assert report.run is None
                prepared = bundle.signature.prepare(frame)
                begun = time.perf_counter()
                bundle.outputs_of(prepared)
                predicting.append(1e3 * (time.perf_counter() - begun))
    whole, predicting, burnt = whole[3:], predicting[3:], burnt[3:]  # the first ones warm caches
    own = statistics.median(predicting)
    measures = [
        Measure("tick overhead, predict taken off", [w - own for w in whole], "ms", 60),
        Measure("whole tick", whole, "ms"),
        Measure("whole tick, CPU of all threads", burnt, "ms", note="less moved by neighbours"),
        Measure(
            "the model's own predict", predicting, "ms", note="logistic regression behind a one-hot encoder"
        ),
    ]
    publish(
        "tick",
        "Tick",
        "50 features, 10,000 new rows, 5 triggers, a real home on Parquet, no training.",
        measures,
        before,
    )


if __name__ == "__main__":
    main()

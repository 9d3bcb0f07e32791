"""Generates the rows that the example loops read: sixty days that end yesterday, with a change after forty-five.

python rows.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

DAYS, A_DAY = 60, 200


def times(rng: np.random.Generator, a_day: int) -> pd.Series:
    """Sorted times within the sixty days up to last midnight."""
    end = pd.Timestamp.now("UTC").floor("D")
    seconds = np.sort(rng.integers(0, DAYS * 86_400, DAYS * a_day))
    return pd.Series(end - pd.Timedelta(days=DAYS) + pd.to_timedelta(seconds, unit="s")).dt.as_unit("us")


def churn(seed: int = 0) -> pd.DataFrame:
    """Customers; whether one leaves is known three days later, and after forty-five days a rival lowers its prices."""
    rng = np.random.default_rng(seed)
    ts = times(rng, A_DAY)
    n = len(ts)
    rival = np.arange(n) > 0.75 * n
    rows = pd.DataFrame({
        "row_id": np.arange(n), "ts": ts, "known_at": ts + pd.Timedelta(days=3),
        "monthly_fee": rng.gamma(4, 8, n).round(2), "support_calls": rng.poisson(1.2, n),
        "months": rng.integers(1, 60, n), "plan": rng.choice(["basic", "plus", "pro"], n, p=[0.5, 0.3, 0.2]),
    })  # fmt: skip
    score = (
        0.8 * rows["support_calls"] - 0.03 * rows["months"] + np.where(rival, 0.08, 0.0) * rows["monthly_fee"]
    )
    rows["churned"] = (score - np.where(rival, 3.0, 0.6) + rng.logistic(0, 0.6, n) > 0).astype(int)
    return rows


def shop(number: int) -> pd.DataFrame:
    """Hourly sales of one shop."""
    rng = np.random.default_rng(100 + number)
    ts = times(rng, 24)
    rows = pd.DataFrame({"ts": ts, "hour": ts.dt.hour, "weekday": ts.dt.day_of_week,
                         "rain": rng.random(len(ts)) < 0.25})  # fmt: skip
    busy = 20 + 3 * number + 10 * np.sin(np.pi * rows["hour"] / 24) - 6 * rows["rain"]
    rows["sold"] = (busy + rng.normal(0, 3, len(ts))).round(1)
    return rows


def main(folder: str = "rows") -> None:
    """Write everything."""
    place = Path(folder)
    (place / "shops").mkdir(parents=True, exist_ok=True)
    duckdb.from_df(churn()).write_parquet(str(place / "churn.parquet"))
    for number in range(5):
        duckdb.from_df(shop(number)).write_parquet(str(place / "shops" / f"{number}.parquet"))


if __name__ == "__main__":
    main(*sys.argv[1:])

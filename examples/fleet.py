"""One model per shop, from a generator; they share a price. Rows: `python rows.py`."""

from __future__ import annotations

from collections.abc import Iterator

from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import rekindle as rk

PRICE = rk.Price(per_error=3.0, per_retrain=15.0, currency="EUR")


def shops() -> Iterator[rk.Loop]:
    """`rekindle status "shop-*"` shows them all, `rekindle pause shop-3` stops one."""
    for number in range(5):
        yield rk.Loop(
            f"shop-{number}",
            source=rk.Parquet(f"rows/shops/{number}.parquet", time="ts", label="sold"),
            trainer=rk.Estimator(make_pipeline(StandardScaler(), Ridge())),
            every="1d",
            triggers=[rk.PerformanceDecay(drop=1.0)],
            policy=rk.SkiRental(PRICE),
            guards=[rk.MinRows(48)],
        )

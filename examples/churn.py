"""One model with everything stated. Rows: `python rows.py`."""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingClassifier

import rekindle as rk

churn = rk.Loop(
    "churn",
    source=rk.Parquet("rows/churn.parquet", time="ts", label="churned", label_time="known_at", id="row_id"),
    trainer=rk.Estimator(HistGradientBoostingClassifier(max_iter=60)),
    metric="roc_auc",
    every="1d",
    triggers=[rk.DataDrift(min_rows=150), rk.PerformanceDecay(drop=0.05), rk.Schedule("30d")],
    # A customer lost without a call costs 12 EUR on average, one retraining half an hour of somebody's time.
    policy=rk.SkiRental(rk.Price(per_error=12.0, per_retrain=40.0, currency="EUR")),
    window=rk.Weighted(half_life=10),
    gates=[rk.NotWorse(), rk.Floor(0.6)],
    guards=[rk.MinRows(200), rk.Cooldown("24h")],
)

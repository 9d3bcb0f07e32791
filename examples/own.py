"""A trigger, a gate, a window and a loss of one's own. Rows: `python rows.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import rekindle as rk
from rekindle.records import Batch, Champion, History, Kind, Run, Scores, Signal, Verdict, Window


@dataclass
class MeanShift:
    """Speaks when the mean of a column left the champion's training mean by more than `most` deviations."""

    column: str
    most: float = 0.25
    _mean: float | None = field(default=None, repr=False, compare=False)
    _deviation: float = field(default=1.0, repr=False, compare=False)

    def reset(self, champion: Champion) -> None:
        """Measure against the rows this champion was trained on."""
        self._mean = None
        if champion.reference is not None and self.column in champion.reference:
            known = champion.reference[self.column].to_numpy(dtype=float)
            self._mean, self._deviation = float(np.nanmean(known)), float(np.nanstd(known)) or 1.0

    def observe(self, batch: Batch) -> Signal | None:
        """The signal when this batch has moved."""
        if self._mean is None or batch.features.empty or self.column not in batch.features:
            return None
        mean = float(np.nanmean(batch.features[self.column].to_numpy(dtype=float)))
        moved = abs(mean - self._mean) / self._deviation
        if not moved > self.most:
            return None
        reason = f"{self.column}_moved_{moved:.2f}_deviations"
        return Signal(
            Kind.DATA_DRIFT, "MeanShift", 3, moved, self.most, reason, batch.span.start, {"mean": mean}
        )

    def get_state(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"version": 1, "mean": self._mean, "deviation": self._deviation}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """The reverse."""
        if state.get("version") != 1:
            raise ValueError("MeanShift reads states of version 1")
        self._mean, self._deviation = state["mean"], state["deviation"]


def no_call_too_many(candidate: Scores, champion: Scores | None, rows: Any, run: Run) -> Verdict:
    """At most 4 EUR of loss per customer, whatever the champion does."""
    return Verdict(
        "no_call_too_many", candidate.loss <= 4.0, f"{candidate.loss:.2f} EUR a customer, 4.00 allowed"
    )


def three_weeks(history: History) -> Window:
    """The newest 21 days."""
    return Window(history.starts[-21:][0], history.span.end, "three weeks")


def euros(label: Any, prediction: Any) -> Any:
    """A lost customer costs 12 EUR, a call for nothing 2 EUR."""
    label, prediction = np.asarray(label), np.asarray(prediction)
    return np.where(label == 1, 12.0, 2.0) * (label != prediction)


own = rk.Loop(
    "churn-own",
    source=rk.Parquet("rows/churn.parquet", time="ts", label="churned", label_time="known_at", id="row_id"),
    trainer=rk.Estimator(LogisticRegression(max_iter=500)),
    every="1d",
    loss=euros,
    triggers=[MeanShift("monthly_fee")],
    policy=rk.SkiRental(rk.Price(per_error=1.0, per_retrain=40.0, currency="EUR")),
    window=three_weeks,
    gates=[no_call_too_many],
)

"""PerformanceDecay and MetricFloor: the champion's metric fell, against its baseline or under a floor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rekindle.errors import DeclarationError
from rekindle.records import Batch, Champion, Kind, Signal
from rekindle.stats.columns import labelled
from rekindle.stats.metrics import Metric
from rekindle.stats.metrics import metric as metric_named
from rekindle.stats.paired import one_sample_t
from rekindle.triggers.spans import Entry, began, newest, parse_window, put
from rekindle.triggers.state import Remembering, check_number

__all__ = ["MetricFloor", "PerformanceDecay", "decay_priority"]

FIRST = 3  # batches that make the baseline of a champion that came without one
ENOUGH = 10  # values in the window (checklist row 19)
LARGEST = 1e150  # metrics beyond are taken for not computed
ROUNDING = 1e-9  # 0.85 - 0.80 is a decay of 0.05


def decay_priority(percent: float) -> int:
    """Severity of a decay, and the priority of a run it starts (checklist row 22).

    Above 20 % it is 5, above 10 % 4, above 5 % 3, below that 2, and 1 when there is none.

    >>> [decay_priority(p) for p in (25, 15, 7, 3, 0)]
    [5, 4, 3, 2, 1]
    """
    for priority, above in ((5, 20.0), (4, 10.0), (3, 5.0), (2, 0.0)):
        if percent > above + ROUNDING:
            return priority
    return 1


@dataclass(kw_only=True)
class PerformanceDecay(Remembering):
    """Speaks when the loop's metric fell by `drop` or more and a t test says it is no ordinary variance.

    Checklist rows 9 and 19-22. The baseline is the champion's metric on the rows that judged it; where it came
    without one, the mean of its first 3 batches, which then do not count as recent. A fall is a fall for metrics
    where lower is better, too. Batches older than the window, or scored under an earlier champion, never count.

    Parameters: `drop` in units of the metric; `window` of recent batches, as a number of scored ones or a span of time
    such as "24h" (not on an integer index); `min_values` metric values the window must hold, else the report
    says insufficient_data (default 10, or the whole window when that is fewer batches); `alpha` of the two-sided
    test.

    >>> PerformanceDecay(window="24h")
    PerformanceDecay(drop=0.05, window='24h', min_values=None, alpha=0.05)
    """

    drop: float = 0.05
    window: str | int | timedelta = 10
    min_values: int | None = None
    alpha: float = 0.05
    _metric: str = field(default="metric", init=False, repr=False, compare=False)
    _higher: bool = field(default=True, init=False, repr=False, compare=False)
    _baseline: float | None = field(default=None, init=False, repr=False, compare=False)
    _first: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    _recent: list[Entry] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_number("drop", self.drop, 0)
        check_number("alpha", self.alpha, 1e-12, 0.5)
        window = parse_window(self.window, "window")
        if self.min_values is not None:
            check_number("min_values", self.min_values, 2, whole=True)
        if isinstance(window, int) and window < (self.min_values or 2):
            need = self.min_values or 2
            raise DeclarationError(
                "window", self.window, f"the test needs {need} values; give {need} batches or more"
            )

    @property
    def needed(self) -> int:
        """Metric values the window must hold."""
        window = parse_window(self.window, "window")
        return self.min_values or (min(ENOUGH, window) if isinstance(window, int) else ENOUGH)

    def reset(self, champion: Champion) -> None:
        """Measure against this champion: its baseline, its metric's direction, no older value."""
        self.report, self._first, self._recent = {}, {}, []
        self._metric, self._higher = champion.metric, champion.higher_is_better
        self._baseline = _usable(champion.baseline_metric)

    def observe(self, batch: Batch) -> Signal | None:
        """The signal when the recent values lie significantly below the baseline."""
        self._take(batch)
        window = parse_window(self.window, "window")
        self._recent = newest(self._recent, batch.span, window)
        self.report = self._measure()
        if len(self._recent) < self.needed or self._baseline is None:
            self.report |= {"insufficient": True, "reason": "insufficient_data", "severity": 1}
            return None
        return self._judge()

    def relabel(self, batch: Batch) -> None:
        """Labels of an older batch have arrived: its value counts from now on. Speaks at the next batch."""
        self._take(batch)

    def _take(self, batch: Batch) -> None:
        value = _usable(batch.metric)
        if value is None:
            return
        if self._baseline is None:
            self._first[str(batch.span.seq)] = value  # labels may come in parts: the batch counts once
            if len(self._first) == FIRST:
                self._baseline = sum(self._first.values()) / FIRST
            return
        rows = batch.rows if batch.loss is None else len(batch.loss)
        self._recent = put(self._recent, Entry(batch.span.seq, batch.span.start, rows, value))

    def _measure(self) -> dict[str, Any]:
        test = one_sample_t([e.value for e in self._recent], self._baseline or 0.0)
        known = self._baseline is not None and test.mean is not None
        decay = self._excess(test.mean) if known and test.mean is not None else None
        return {
            "insufficient": False,
            "metric": self._metric,
            "baseline": self._baseline,
            "baseline_from": f"first_{FIRST}_batches"
            if self._first or self._baseline is None
            else "validation",
            "window": str(self.window),
            "values": test.n,
            "needed": self.needed,
            "mean": test.mean,
            "std": test.std,
            "decay": decay,
            "decay_percent": self._percent(decay),
            "t": test.t if known else None,
            "p": test.p if known else None,
        }

    def _excess(self, value: float) -> float:
        """How much worse than the baseline, whichever direction is worse."""
        baseline = self._baseline or 0.0
        return baseline - value if self._higher else value - baseline

    def _percent(self, decay: float | None) -> float | None:
        """In per cent of the baseline; a baseline of 0, or next to it, has none."""
        if decay is None or not self._baseline:
            return None
        return _usable(100 * decay / abs(self._baseline))

    def _judge(self) -> Signal | None:
        decay, percent, p = self.report["decay"], self.report["decay_percent"], self.report["p"]
        fell = decay > ROUNDING and decay >= self.drop - ROUNDING
        # A baseline of 0 has no percentage; such a decay has the lowest priority that is one.
        severity = decay_priority(percent) if percent is not None else (2 if fell else 1)
        if not fell or p >= self.alpha:
            reason = "decay_not_significant" if fell else "performance_ok"
            self.report |= {"reason": reason, "severity": severity}
            return None
        reason = f"{self._metric}_{self.report['mean']:.3f}_decayed_{decay:.3f}_from_{self._baseline:.3f}"
        self.report |= {"reason": reason, "severity": severity}
        since = began(self._recent, [self._excess(e.value) - self.drop / 2 for e in self._recent])
        return Signal(
            Kind.PERFORMANCE_DECAY,
            "PerformanceDecay",
            severity,
            decay,
            self.drop,
            reason,
            since,
            dict(self.report),
        )

    def _remember(self) -> dict[str, Any]:
        return {
            "metric": self._metric,
            "higher_is_better": self._higher,
            "baseline": self._baseline,
            "first": dict(self._first),
            "recent": [e.to_json() for e in self._recent],
        }

    def _recall(self, state: Mapping[str, Any]) -> None:
        self._metric, self._higher = state["metric"], state["higher_is_better"]
        self._baseline, self._first = state["baseline"], dict(state["first"])
        self._recent = [Entry.from_json(e) for e in state["recent"]]


def _usable(value: float | None) -> float | None:
    """The value, unless it is missing, nan, inf or so large that its square would be."""
    return float(value) if value is not None and abs(value) < LARGEST else None


@dataclass(kw_only=True)
class MetricFloor(Remembering):
    """Speaks when a metric over the recent predictions is worse than a fixed value (checklist rows 1 and 2).

    The metric is computed here, from labels and predictions, so it may be another than the loop's; one that needs
    probabilities (roc_auc, log_loss) must be the loop's own. Each batch
    leaves its number of labelled rows and its value; the window's value is their mean weighted by rows, which is
    exact for shares and mean errors and an approximation for others (roc_auc, rmse). Where lower is better the
    floor is a ceiling.

    Parameters: `metric` a name or a Metric; `floor` in its units; `window` as a span of time or a number of
    batches; `min_predictions` labelled predictions below which the report says insufficient_data.

    >>> MetricFloor(floor=0.55)
    MetricFloor(metric='directional_accuracy', floor=0.55, window='14d', min_predictions=100)
    """

    metric: str | Metric = "directional_accuracy"
    floor: float = 0.52
    window: str | int | timedelta = "14d"
    min_predictions: int = 100
    _loop_metric: str = field(default="", init=False, repr=False, compare=False)
    _recent: list[Entry] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Metric):
            metric_named(self.metric)
        check_number("floor", self.floor, -math.inf)
        parse_window(self.window, "window")
        check_number("min_predictions", self.min_predictions, 1, whole=True)

    def reset(self, champion: Champion) -> None:
        """Forget the predictions of the champion before."""
        self.report, self._recent, self._loop_metric = {}, [], champion.metric

    def observe(self, batch: Batch) -> Signal | None:
        """The signal when the window's metric lies under the floor."""
        problem = self._take(batch)
        self._recent = newest(self._recent, batch.span, parse_window(self.window, "window"))
        return self._judge(self._measure, problem)

    def relabel(self, batch: Batch) -> None:
        """Labels of an older batch have arrived: its value counts from now on. Speaks at the next batch."""
        self._take(batch)

    def _take(self, batch: Batch) -> str:
        """Keep the batch's value, in place of an earlier one; returns why there is none."""
        value, problem = self._value(batch)
        if value is not None:
            rows = int(labelled(batch.label).sum())
            self._recent = put(self._recent, Entry(batch.span.seq, batch.span.start, rows, value))
        return problem

    @property
    def _measure(self) -> Metric:
        return self.metric if isinstance(self.metric, Metric) else metric_named(self.metric)

    def _value(self, batch: Batch) -> tuple[float | None, str]:
        """The metric of one batch, or why there is none."""
        measure = self._measure
        if batch.label is None or batch.prediction is None:
            return None, "no_champion"
        if measure.needs_probability and getattr(batch.prediction, "ndim", 1) == 1:
            # Batches carry decided labels; only the loop has seen the probabilities.
            if measure.name != self._loop_metric:
                return None, "needs_probabilities"
            return _usable(batch.metric), ""
        return _usable(measure.value(batch.label, batch.prediction)), ""

    def _judge(self, measure: Metric, problem: str) -> Signal | None:
        rows = sum(e.rows for e in self._recent)
        value = sum(e.rows * e.value for e in self._recent) / rows if rows else None
        self.report = {
            "insufficient": rows < self.min_predictions,
            "metric": measure.name,
            "value": value,
            "floor": self.floor,
            "window": str(self.window),
            "predictions": rows,
            "needed": self.min_predictions,
        }
        if value is None or rows < self.min_predictions:
            self.report["reason"] = problem or "insufficient_data"
            return None
        sign = 1 if measure.higher_is_better else -1
        below = sign * (self.floor - value)
        if below <= 0:
            self.report["reason"] = "performance_ok"
            return None
        side = "below" if measure.higher_is_better else "above"
        reason = f"{measure.name.removeprefix('directional_')}_{value:.3f}_{side}_{self.floor:g}"
        self.report["reason"] = reason
        severity = max(3, decay_priority(100 * below / abs(self.floor))) if self.floor else 3
        since = began(self._recent, [sign * (self.floor - e.value) * e.rows for e in self._recent])
        return Signal(
            Kind.PERFORMANCE_DECAY,
            "MetricFloor",
            severity,
            value,
            self.floor,
            reason,
            since,
            dict(self.report),
        )

    def _measures(self) -> dict[str, Any]:
        return {"metric": self._measure.name}

    def _remember(self) -> dict[str, Any]:
        return {"loop_metric": self._loop_metric, "recent": [e.to_json() for e in self._recent]}

    def _recall(self, state: Mapping[str, Any]) -> None:
        self._loop_metric = state["loop_metric"]
        self._recent = [Entry.from_json(e) for e in state["recent"]]

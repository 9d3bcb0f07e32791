"""rekindle keeps machine-learning models fresh.

It notices (drift, decay, schedule, volume, a person), decides whether retraining pays, retrains on frozen rows,
proves the candidate better on rows neither model has seen, and swaps it into serving. Begin with `rekindle demo`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rekindle._version import __version__

if TYPE_CHECKING:
    from rekindle.app.home import Home
    from rekindle.app.home import open_home as open
    from rekindle.app.slots import Slot
    from rekindle.data.cadence import Edges
    from rekindle.data.files import CSV, Parquet
    from rekindle.data.source import Frame
    from rekindle.data.window import Full, Rolling, SinceLastRetrain, Weighted
    from rekindle.errors import RekindleError
    from rekindle.loop import Loop
    from rekindle.policy.guards import Cooldown, MinPriority, MinRows
    from rekindle.policy.price import Price
    from rekindle.policy.rules import Always, Every, Never, SoftWithFallback
    from rekindle.policy.ski_rental import SkiRental
    from rekindle.records import Env as env
    from rekindle.serving.rollout import Immediate
    from rekindle.stats.metrics import Metric
    from rekindle.training.estimator import Estimator
    from rekindle.triggers.drift import DataDrift
    from rekindle.triggers.performance import MetricFloor, PerformanceDecay
    from rekindle.triggers.timed import Schedule, Volume
    from rekindle.validation.gates import Floor, MinLift, NotWorse, RelativeTo

_HOMES = {
    "Always": "policy.rules",
    "CSV": "data.files",
    "Cooldown": "policy.guards",
    "DataDrift": "triggers.drift",
    "Edges": "data.cadence",
    "Estimator": "training.estimator",
    "Every": "policy.rules",
    "Floor": "validation.gates",
    "Frame": "data.source",
    "Full": "data.window",
    "Home": "app.home",
    "Immediate": "serving.rollout",
    "Loop": "loop",
    "Metric": "stats.metrics",
    "MetricFloor": "triggers.performance",
    "MinLift": "validation.gates",
    "MinPriority": "policy.guards",
    "MinRows": "policy.guards",
    "Never": "policy.rules",
    "NotWorse": "validation.gates",
    "Parquet": "data.files",
    "PerformanceDecay": "triggers.performance",
    "Price": "policy.price",
    "RekindleError": "errors",
    "RelativeTo": "validation.gates",
    "Rolling": "data.window",
    "Schedule": "triggers.timed",
    "SinceLastRetrain": "data.window",
    "SkiRental": "policy.ski_rental",
    "Slot": "app.slots",
    "SoftWithFallback": "policy.rules",
    "Volume": "triggers.timed",
    "Weighted": "data.window",
    "env": "records:Env",
    "open": "app.home:open_home",
}

__all__ = [
    "CSV",
    "Always",
    "Cooldown",
    "DataDrift",
    "Edges",
    "Estimator",
    "Every",
    "Floor",
    "Frame",
    "Full",
    "Home",
    "Immediate",
    "Loop",
    "Metric",
    "MetricFloor",
    "MinLift",
    "MinPriority",
    "MinRows",
    "Never",
    "NotWorse",
    "Parquet",
    "PerformanceDecay",
    "Price",
    "RekindleError",
    "RelativeTo",
    "Rolling",
    "Schedule",
    "SinceLastRetrain",
    "SkiRental",
    "Slot",
    "SoftWithFallback",
    "Volume",
    "Weighted",
    "__version__",
    "env",
    "open",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `import rekindle` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rekindle' has no attribute {name!r}")
    place, _, other = _HOMES[name].partition(":")
    value = getattr(import_module(f"rekindle.{place}"), other or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

"""Triggers: each sees every batch once and speaks when it sees a reason to retrain."""

from rekindle.triggers.drift import DataDrift
from rekindle.triggers.performance import MetricFloor, PerformanceDecay, decay_priority
from rekindle.triggers.timed import Manual, Never, Schedule, Volume, manual_signal

__all__ = [
    "DataDrift",
    "Manual",
    "MetricFloor",
    "Never",
    "PerformanceDecay",
    "Schedule",
    "Volume",
    "decay_priority",
    "manual_signal",
]

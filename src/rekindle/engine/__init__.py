"""Carries out runs: trainings in child processes of their own, which end when their parent does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rekindle.engine.child import progress
    from rekindle.engine.nursery import Nursery, Report
    from rekindle.engine.watchdog import Limits

__all__ = ["Limits", "Nursery", "Report", "progress"]

_HOMES = {"Limits": "watchdog", "Nursery": "nursery", "Report": "nursery", "progress": "child"}


def __getattr__(name: str) -> Any:
    # Lazy, so that `python -m rekindle.engine.nursery` does not find its own module imported already.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Views as policies and guards get them."""

from datetime import UTC, datetime

import pytest

from rekindle.records import Kind, Signal, View

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def view_of():
    """Makes views: `view_of({3: {8: 0.1}}, champion=3, batch=8, ...)`; the newest batch is that of the losses."""

    def make(losses=None, **fields):
        losses = losses or {}
        champion = fields.pop("champion", max(losses, default=1))
        served = losses.get(champion) or {}
        trained = fields.pop("trained", min(served, default=8) - 1)
        known = {
            "batch": max(served, default=trained),
            "champion": champion,
            "trained": trained,
            "tried": trained,
            "losses": losses,
            "signals": (),
            "price": 0.02,
            "now": NOW,
            "rows": 1000,
            "labelled": 1000,
            "finished_at": None,
        }
        return View(**{**known, **fields})

    return make


@pytest.fixture(scope="session")
def signal_of():
    """Makes signals: `signal_of(4)`, `signal_of(3, Kind.SCHEDULE, since=7)`."""

    def make(severity=3, kind=Kind.DATA_DRIFT, **fields):
        told = {
            "trigger": kind.value,
            "statistic": 0.3,
            "threshold": 0.2,
            "reason": f"{kind.value}_{severity}",
        }
        return Signal(kind=kind, severity=severity, **{**told, **fields})

    return make

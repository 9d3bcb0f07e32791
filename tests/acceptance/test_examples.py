"""The example loops files load, train on generated rows, and decide on the day after."""

from __future__ import annotations

import runpy
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rekindle.app.config import Settings
from rekindle.app.home import Home
from rekindle.app.loading import load_loops
from rekindle.clock import ManualClock
from rekindle.testing.triggers import TriggerSuite

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MEAN_SHIFT = runpy.run_path(str(EXAMPLES / "own.py"))["MeanShift"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the examples with their rows beside them."""
    place = tmp_path_factory.mktemp("examples")
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, place)
    runpy.run_path(str(place / "rows.py"))["main"](str(place / "rows"))
    return place


@pytest.mark.parametrize(("name", "loops"), [("churn", 1), ("fleet", 5), ("own", 1)])
def test_an_example_trains_and_decides(name, loops, folder, nursery, monkeypatch):
    monkeypatch.chdir(folder)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    clock = ManualClock(today - timedelta(days=12))
    declared = load_loops(f"{name}.py")
    assert len(declared.loops) == loops
    with Home([declared], Settings(home=folder / "home"), clock=clock, nursery=nursery) as home:
        first = [home.tick(loop) for loop in home.names(declared.loops[0].name.split("-")[0] + "*")]
        assert [report.outcome for report in first] == ["PROMOTED"] * loops
        clock.advance(timedelta(days=12))
        for report in [home.tick(loop.name) for loop in declared.loops]:
            assert len(report.decisions) == 12
            assert report.outcome in ("NO_CHANGE", "PROMOTED", "KEPT_CHAMPION")
            assert all(decision.reason for decision in report.decisions)


class TestMeanShift(TriggerSuite):
    """The trigger of own.py keeps what a trigger promises."""

    def make(self):
        return MEAN_SHIFT("x0")

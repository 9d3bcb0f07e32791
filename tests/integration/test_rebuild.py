"""The same rows make the same snapshots, decisions and losses, and a run can be fitted again from what it left."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from looptoys import MONDAY, AtBatches, champion, ran, scored, told, toy_loop
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import rekindle as rk
from rekindle.app.home import Home
from rekindle.clock import ManualClock
from rekindle.data.snapshot import thaw, verify
from rekindle.models.bundle import open_bundle
from rekindle.training.job import FitPlan, fit_models

HomeOf = Callable[..., Home]
Rows = Callable[..., pd.DataFrame]
DAY = timedelta(days=1)


def facts(home: Home) -> dict[str, Any]:
    """All that must be the same, whoever carries it out and when."""
    kept = ("snapshot_id", "rows", "judged", "candidate_loss", "champion_loss", "window", "window_batches")
    return {
        "decisions": [
            (d.batch, d.action, d.rule, d.reason, d.price, d.expected_saving, json.dumps(dict(d.evidence)))
            for d in told(home)
        ],
        "signals": [[(s.trigger, s.reason, s.statistic) for s in d.signals] for d in told(home)],
        "runs": [(r.outcome, [r.metadata.get(k) for k in kept]) for r in ran(home)],
        "losses": scored(home),
        "champion": champion(home),
    }


def replayed(home_of: HomeOf, source: Any, name: str, **settings: Any) -> Home:
    clock = ManualClock(MONDAY + 6 * DAY)
    trainer = rk.Estimator(LogisticRegression())
    loop = rk.Loop("toy", source, trainer, every="1d", policy=rk.SkiRental(rk.Price.ratio(0.05)))
    home = home_of(loop, home=name, clock=clock, **settings)
    for _ in range(8):
        home.tick("toy")
        clock.advance(DAY)
    return home


@pytest.fixture
def rows(stream_frame: Rows) -> pd.DataFrame:
    return stream_frame(60 * 16, start=MONDAY, step=timedelta(minutes=24), drift=1.0)


def test_the_same_rows_make_the_same_decisions_and_snapshots(
    rows: pd.DataFrame, home_of: HomeOf, tmp_path: Path
) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    one = replayed(home_of, rk.Frame(rows, time="t", label="label"), "one")
    shuffled = rows.sample(frac=1, random_state=7)
    for k, part in enumerate(np.array_split(np.arange(len(rows)), 3)):
        shuffled.iloc[part].to_csv(parts / f"{k}.csv", index=False)
    two = replayed(home_of, rk.Frame(shuffled, time="t", label="label"), "two", threads=2)
    three = replayed(home_of, rk.CSV(parts, time="t", label="label"), "three")
    assert len(ran(one)) >= 2
    assert facts(one) == facts(two) == facts(three)


def test_another_row_makes_another_snapshot(rows: pd.DataFrame, home_of: HomeOf) -> None:
    home = home_of(toy_loop(rows), clock=ManualClock(MONDAY + 6 * DAY), home="one")
    other = rows.copy()
    other.loc[3, "x0"] += 1e-9
    beside = home_of(toy_loop(other), clock=ManualClock(MONDAY + 6 * DAY), home="two")
    ids = []
    for each in (home, beside):
        each.tick("toy")
        ids.append(ran(each)[0].metadata["snapshot_id"])
    assert ids[0] != ids[1]


def test_a_run_can_be_fitted_again_from_its_snapshot(
    rows: pd.DataFrame, home_of: HomeOf, tmp_path: Path
) -> None:
    loop = toy_loop(
        rows, policy=AtBatches((6,)), trainer=rk.Estimator(HistGradientBoostingClassifier(max_iter=10))
    )
    clock = ManualClock(MONDAY + 6 * DAY)
    home = home_of(loop, clock=clock)
    home.tick("toy")
    clock.advance(DAY)
    home.tick("toy")
    run = ran(home)[-1]
    assert run.metadata["judged"]
    assert verify(run.metadata["snapshot"])
    _, manifest = thaw(run.metadata["snapshot"])
    assert manifest["revision"] == run.revision
    (files,) = manifest["files"].values()
    assert {"bytes", "sha256", "md5"} <= set(files)
    told_by_bundle = json.loads((Path(run.metadata["candidate"]) / "manifest.json").read_text())
    assert (told_by_bundle["run"], told_by_bundle["judged_by_twin"]) == (run.id, True)
    plan = FitPlan("toy", run.metadata["snapshot"], manifest["contract"], tuple(run.metadata["judged"]),
                   run.metadata["window"]["half_life"], 0, {})  # fmt: skip
    found = fit_models(loop.trainer, plan, tmp_path / "again", report=lambda share, text: None)
    again = open_bundle(found["candidate"], loop.trainer)
    served = home.champion("toy")
    assert np.array_equal(again.predict_proba(rows), served.predict_proba(rows))
    twin = open_bundle(found["twin"], loop.trainer)
    assert not np.array_equal(twin.predict_proba(rows), served.predict_proba(rows))


def test_a_resumed_run_keeps_the_contract_that_was_checked(
    rows: pd.DataFrame, home_of: HomeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that appears between two steps of one run must not get into its snapshot."""
    from rekindle import retrain

    loop = toy_loop(rows, features=())
    clock = ManualClock(MONDAY + 6 * DAY)
    home = home_of(loop, clock=clock)

    def dies(story: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(retrain, "snapshot", dies)
        with pytest.raises(KeyboardInterrupt):
            home.tick("toy")
    loop.source.replace(rows.assign(extra=1.0))
    home.tick("toy")
    (run,) = ran(home)
    assert run.outcome == "PROMOTED"
    frozen, manifest = thaw(run.metadata["snapshot"])
    assert manifest["features"] == ["x0", "x1", "colour"]
    assert "extra" not in frozen


def test_the_seed_of_the_trainer_is_kept_and_used(rows: pd.DataFrame, home_of: HomeOf) -> None:
    losses = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        model = HistGradientBoostingClassifier(max_iter=5, max_features=0.5)
        home = home_of(toy_loop(rows, trainer=rk.Estimator(model, seed=seed)), home=name,
                       clock=ManualClock(MONDAY + 6 * DAY))  # fmt: skip
        home.tick("toy")
        bundle = home.champion("toy")
        assert bundle.manifest["seed"] == seed
        losses.append(bundle.predict_proba(rows)[:, 1])
    assert np.array_equal(losses[0], losses[1])
    assert not np.array_equal(losses[0], losses[2])

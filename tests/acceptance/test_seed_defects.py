"""One regression test for each mistake of the public guides (checklist row 89) whose subject exists here.

Not here yet: any-of-n KS without correction, the random split of a validation of its own, and the DAG that promotes
whatever evaluation said; they come with the signals, the walk-forward splits and the orchestrators.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import rekindle as rk
from rekindle.app.demo.streams import RULE_CHANGE, credit
from rekindle.app.home import Home
from rekindle.clock import ManualClock
from rekindle.drift.two_sample import psi
from rekindle.models import bundle as bundles
from rekindle.records import Action, Batch, Champion, Decision, Run, Span, View, Window
from rekindle.serving.slot import Slot
from rekindle.stats.metrics import metric
from rekindle.store import commands, new_id, runs
from rekindle.validation.gates import Open

HomeOf = Callable[..., Home]
Rows = Callable[..., pd.DataFrame]
START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


class Wanted:
    """Retrains after the named batches."""

    def __init__(self, *batches: int) -> None:
        self.batches = batches

    def decide(self, view: View) -> Decision:
        action = Action.RETRAIN if view.batch in self.batches else Action.WAIT
        return Decision(action, "Wanted", f"batch {view.batch}")

    def observe(self, outcome: Run) -> None:
        """Learns nothing."""


def toy(rows: pd.DataFrame, name: str = "toy", **fields: Any) -> rk.Loop:
    given: dict[str, Any] = {"every": "1d" if rows["t"].dtype.kind == "M" else 100, "guards": [], "gates": [Open()],
             "triggers": [], "policy": rk.Always()}  # fmt: skip
    source = rk.Frame(rows, time="t", label="label")
    return rk.Loop(
        name, source, fields.pop("trainer", rk.Estimator(LogisticRegression())), **{**given, **fields}
    )


@pytest.fixture
def rows(stream_frame: Rows) -> pd.DataFrame:
    return stream_frame(96 * 14, start=START, step=timedelta(minutes=15), drift=1.0)


def seen(
    values: Sequence[float], *, metric_name: str = "roc_auc", baseline: float = 0.9, **settings: Any
) -> Any:
    """What PerformanceDecay says after batches with these metric values, one a day."""
    trigger = rk.PerformanceDecay(**settings)
    measure = metric(metric_name)
    trigger.reset(Champion(1, -1, START, measure.name, measure.higher_is_better, baseline, 0.1, 1000, None))
    said = None
    for k, value in enumerate(values):
        span = Span(k, START + k * DAY, START + (k + 1) * DAY)
        said = trigger.observe(Batch(span, span.end, 100, pd.DataFrame(), None, None, np.zeros(100), value))
    return said


def test_values_outside_the_training_bins_count_in_the_psi() -> None:
    reference = np.random.default_rng(0).normal(size=5000)
    current = np.concatenate([reference[:4600], np.full(400, reference.max() + 5)])
    edges = np.quantile(reference, np.linspace(0, 1, 11))
    p, q = (np.histogram(values, edges)[0] / len(values) for values in (reference, current))
    as_the_guides_do = float(((q - p) * np.log(q / p)).sum())
    assert as_the_guides_do < 0.01  # 400 rows have vanished
    assert psi(reference, current) > 5 * as_the_guides_do


def test_predict_does_not_wait_for_a_swap() -> None:
    loading, go_on = threading.Event(), threading.Event()

    class Model:
        probe = (0,)

        def __init__(self, version: int) -> None:
            self.version, self.label = version, f"v{version}"

        def predict(self, given: Any) -> list[int]:
            return [self.version for _ in given]

    def load(version: int) -> Model:
        if version == 2:
            loading.set()
            assert go_on.wait(20)
        return Model(version)

    slot = Slot(load)
    slot.swap(1)
    with ThreadPoolExecutor(1) as beside:
        swapping = beside.submit(slot.swap, 2)
        assert loading.wait(20)
        assert slot.predict([0]) == [1]  # while the swap is under way
        go_on.set()
        swapping.result(20)
    assert slot.predict([0]) == [2]
    slot.close()


def test_the_cooldown_is_counted_for_each_model_alone(rows: pd.DataFrame, home_of: HomeOf) -> None:
    clock = ManualClock(START + 5 * DAY)
    guards: dict[str, Any] = {"guards": [rk.Cooldown("36h")]}
    home = home_of([toy(rows, "one", **guards), toy(rows, "two", **guards)], clock=clock)
    home.tick("one")
    clock.advance(2 * DAY)
    home.tick("two")  # trains its first model now
    assert [d.rule for d in home.tick("one").decisions][-1] == "Always"


def test_run_ids_of_one_second_do_not_collide() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: new_id("run-", START), range(2000)))
    assert len(set(made)) == 2000


def test_the_champion_is_scored_anew_on_the_candidates_rows(rows: pd.DataFrame, home_of: HomeOf) -> None:
    """Not by the score it once had: that one lies in its metadata and is never compared."""
    clock = ManualClock(START + 5 * DAY)
    home = home_of(toy(rows, policy=Wanted(10)), clock=clock)
    home.tick("toy")
    clock.advance(6 * DAY)
    home.tick("toy")
    run = home.runs("toy").iloc[0]
    judged = rows[
        (rows["t"] >= START + min(run["metadata"]["judged"]) * DAY) & (rows["t"] < START + 11 * DAY)
    ]
    first = home.registry.open(home.registry.get("toy", 1), home.loops["toy"].trainer)
    wrong = first.predict(judged) != judged["label"].to_numpy()
    assert run["metadata"]["champion_loss"] == pytest.approx(wrong.mean())
    assert run["metadata"]["champion_loss"] != home.registry.get("toy", 1).metadata["candidate_loss"]


def test_what_judges_is_later_than_what_was_fitted(rows: pd.DataFrame, home_of: HomeOf) -> None:
    """No random 80/20 split: a shuffled one would hold rows of every batch."""
    clock = ManualClock(START + 6 * DAY)
    home = home_of(toy(rows), clock=clock)
    home.tick("toy")
    told = home.runs("toy").iloc[0]["metadata"]
    assert told["judged"] == [3, 4, 5]  # the newest, whole ones


def test_a_finished_run_leaves_the_queue(rows: pd.DataFrame, home_of: HomeOf) -> None:
    class Fails(HistGradientBoostingClassifier):  # type: ignore[misc]
        def fit(self, *given: Any, **more: Any) -> Any:
            raise RuntimeError("no")

    clock = ManualClock(START + 5 * DAY)
    trainer = rk.Estimator(Fails())
    trainer_home = home_of(toy(rows, trainer=trainer), clock=clock)
    trainer_home.tick("toy")
    home = home_of(toy(rows, gates=[rk.Floor(2.0)]), clock=clock)
    home.tick("toy")
    with home.store.begin() as conn:
        commands.add(conn, "toy", "tick", {}, "me", clock.now())
        taken = commands.take(conn, clock.now())
        assert taken is not None
        commands.finish(conn, taken.id, {}, clock.now())
    with home.store.read() as conn:
        assert runs.opened(conn) == []
        counts = runs.counts(conn)
        assert commands.newest(conn, state="queued") == []
    assert (counts["queued"], counts["active"], counts["completed"]) == (0, 0, 2)
    assert set(home.runs("toy")["outcome"]) == {"ERROR", "KEPT_CHAMPION"}


def test_the_t_test_of_the_decay_gates_it() -> None:
    """A mean below the threshold whose spread is ordinary variance starts nothing."""
    noisy = [0.99, 0.55, 0.97, 0.6, 0.98, 0.62, 0.99, 0.6, 0.98, 0.99]
    assert np.mean(noisy) <= 0.9 - 0.05
    assert seen(noisy) is None
    steady = [0.84, 0.83, 0.85, 0.84, 0.83, 0.84, 0.85, 0.84, 0.83, 0.84]
    assert seen(steady).kind == "performance_decay"


def test_a_decay_is_a_decay_where_lower_is_better() -> None:
    worse, better = ([3.0 + s * 0.5 + 0.01 * k for k in range(10)] for s in (1, -1))
    assert seen(worse, metric_name="mae", baseline=3.0).kind == "performance_decay"
    assert seen(better, metric_name="mae", baseline=3.0) is None


def test_values_older_than_the_metric_window_do_not_count() -> None:
    fell, stays = [0.7 + 0.001 * k for k in range(12)], [0.9 + 0.001 * k for k in range(3)]
    assert seen([*fell, *stays], window="3d", min_values=3) is None
    assert seen([*stays, *fell], window="3d", min_values=3) is not None


class Dying(LogisticRegression):  # type: ignore[misc]
    """Dies in training while a file is there."""

    def __init__(self, flag: str = "") -> None:
        super().__init__()
        self.flag = flag

    def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        if Path(self.flag).exists():
            os._exit(1)
        return super().fit(x, y, sample_weight)


def test_a_run_that_dies_does_not_start_a_cooldown(
    rows: pd.DataFrame, home_of: HomeOf, tmp_path: Path
) -> None:
    flag, clock = tmp_path / "dies", ManualClock(START + 5 * DAY)
    trainer = rk.Estimator(Dying(str(flag)), trusted=["test_seed_defects.Dying"])
    home = home_of(
        toy(rows, trainer=trainer, features=["x0", "x1"], guards=[rk.Cooldown("36h")]), clock=clock
    )
    outcomes = [home.tick("toy").outcome]
    for dies in (False, True, False, False):
        flag.touch() if dies else flag.unlink(missing_ok=True)
        clock.advance(DAY)
        outcomes.append(home.tick("toy").outcome)
    assert outcomes == ["PROMOTED", "NO_CHANGE", "ERROR", "PROMOTED", "NO_CHANGE"]
    assert home.decisions("toy")["rule"].tolist()[::-1] == [
        "FirstModel",
        "Cooldown",
        "Always",
        "Always",
        "Cooldown",
    ]


def test_every_time_that_is_kept_has_a_zone(rows: pd.DataFrame, home_of: HomeOf) -> None:
    naive = datetime(2026, 3, 2)  # noqa: DTZ001
    with pytest.raises(ValueError, match="timezone"):
        ManualClock(naive)
    with pytest.raises(ValueError, match="timezone"):
        new_id("run-", naive)
    home = home_of(toy(rows), clock=ManualClock(START + 5 * DAY))
    home.tick("toy")
    run, decision, version = (
        home.runs("toy").iloc[0],
        home.decisions("toy").iloc[0],
        home.versions("toy").iloc[0],
    )
    times = [run["created_at"], run["started_at"], run["finished_at"], decision["at"], version["created_at"],
             version["trained_through"]]  # fmt: skip
    assert all(t.utcoffset() == timedelta(0) for t in times)


def test_model_and_metadata_appear_together_or_not_at_all(
    rows: pd.DataFrame, home_of: HomeOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_of(toy(rows), clock=ManualClock(START + 5 * DAY))
    home.tick("toy")
    served = home.champion("toy")
    model = LogisticRegression().fit(rows[["x0", "x1"]], rows["label"])
    folder = tmp_path / "bundle"

    def write() -> None:
        trainer = home.loops["toy"].trainer
        probe = rows[["x0", "x1"]].tail(3)
        bundles.write_bundle(folder, trainer, model, loop="toy", signature=narrow(served.signature),
                             task="classification", classes=(0, 1), probe=probe, about={})  # fmt: skip

    with monkeypatch.context() as dying:
        dying.setattr(
            bundles.json, "dumps", lambda *given, **more: (_ for _ in ()).throw(KeyboardInterrupt())
        )
        with pytest.raises(KeyboardInterrupt):
            write()
    assert not folder.exists()  # the model was saved already; its metadata was not
    write()
    assert bundles.open_bundle(folder, home.loops["toy"].trainer).predict(rows).shape == (len(rows),)


def narrow(signature: Any) -> Any:
    return type(signature)(tuple(c for c in signature.columns if c.name in ("x0", "x1")))


def test_the_candidate_is_scored_on_the_columns_it_was_fitted_on(rows: pd.DataFrame, home_of: HomeOf) -> None:
    """A column that came or moved between two trainings must not shift what a model reads."""
    clock = ManualClock(START + 5 * DAY)
    home_of(toy(rows, policy=Wanted()), clock=clock).tick("toy")
    clock.advance(3 * DAY)
    shifted = rows.assign(extra=rows["x0"] * 3)[["extra", "x1", "label", "colour", "t", "x0"]]
    home = home_of(toy(shifted, policy=Wanted(7)), clock=clock)
    assert home.tick("toy").outcome == "PROMOTED"
    old, new = (home.registry.open(home.registry.get("toy", n), home.loops["toy"].trainer) for n in (1, 2))
    assert set(new.signature.names) - set(old.signature.names) == {"extra"}
    judged = shifted[(shifted["t"] >= START + 5 * DAY) & (shifted["t"] < START + 8 * DAY)]
    told = home.runs("toy").iloc[0]["metadata"]
    assert told["judged"] == [5, 6, 7]
    wrong = old.predict(judged) != judged["label"].to_numpy()
    assert told["champion_loss"] == pytest.approx(wrong.mean())


def test_the_simulated_labels_can_be_learned() -> None:
    source = credit().source
    rows = source.read(Window(None, RULE_CHANGE))
    features, label = rows.drop(columns=["applied_at", "defaulted", "work"]), rows["defaulted"].to_numpy()
    half = len(rows) // 2
    fitted = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(features[:half], label[:half])
    later = slice(half, half + 1000)
    guessed = DummyClassifier().fit(features[:half], label[:half]).score(features[later], label[later])
    assert fitted.score(features[later], label[later]) > guessed + 0.1
    after = source.read(Window(RULE_CHANGE, None))
    moved = fitted.score(
        after.drop(columns=["applied_at", "defaulted", "work"]), after["defaulted"].to_numpy()
    )
    assert moved < fitted.score(features[later], label[later]) - 0.03  # and what was learned grows old

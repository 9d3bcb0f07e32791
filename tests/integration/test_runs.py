"""How runs end: promoted, kept, failed in every way a training can fail; and what each leaves behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from looptoys import (
    MONDAY,
    AtBatches,
    champion,
    heard,
    ran,
    registered,
    scored,
    stepped,
    toy_loop,
)
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

import rekindle as rk
from rekindle import retrain
from rekindle.app.home import Home
from rekindle.clock import ManualClock
from rekindle.errors import DeclarationError
from rekindle.policy.guards import Cooldown
from rekindle.records import History, Outcome, Run, RunState, Scores, Verdict, Window
from rekindle.store import new_id, runs, versions

HomeOf = Callable[..., Home]
Rows = Callable[..., pd.DataFrame]
DAY = timedelta(days=1)
STEPS = ["select", "check", "snapshot", "train", "validate", "judge", "release"]


class Ill(BaseEstimator, ClassifierMixin):  # type: ignore[misc]
    """A classifier that fails in a given way."""

    def __init__(self, way: str = "") -> None:
        self.way = way

    def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Ill:
        self.classes_ = np.unique(y)
        self.feature_names_in_ = np.asarray(x.columns)
        if self.way == "raises":
            raise RuntimeError("my own mistake")
        if self.way == "exits":
            os._exit(3)
        if self.way == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.way == "hangs":
            time.sleep(60)
        if self.way == "eats memory":
            eaten = [np.ones(1 << 20) for _ in range(1500)]
            time.sleep(60)
            del eaten
        return self

    def predict_proba(self, x: Any) -> Any:
        shares = np.full((len(x), len(self.classes_)), 0.5)
        if self.way == "predicts NaN":
            shares[0] = np.nan
        return shares

    def predict(self, x: Any) -> Any:
        return self.classes_[self.predict_proba(x).argmax(axis=1)]


def ill(way: str) -> rk.Estimator:
    return rk.Estimator(Ill(way), trusted=["test_runs.Ill"])


FAILURES = {
    "raises": ("RuntimeError: my own mistake", {}),
    "exits": ("ended with exit code 3", {}),
    "is killed": ("killed by SIGKILL", {}),
    "hangs": ("longer than its limit of 1 s", {"train_seconds": 1}),
    "eats memory": ("more than its limit of 600 MB", {"train_memory_mb": 600}),
    "predicts NaN": ("predicts NaN or inf", {}),
}


@pytest.mark.parametrize("way", FAILURES)
def test_a_failing_training_leaves_the_champion_and_says_why(
    way: str, home_of: HomeOf, stream_frame: Rows
) -> None:
    rows = stream_frame(600)
    good = home_of(toy_loop(rows, until=400))
    good.tick("toy")
    cause, settings = FAILURES[way]
    home = home_of(toy_loop(rows, until=500, trainer=ill(way), policy=AtBatches((4,))), **settings)
    kinds = heard(home)
    report = home.tick("toy")
    assert report.outcome == "ERROR"
    run = ran(home)[-1]
    assert (run.state, run.outcome) == (RunState.ERROR, Outcome.ERROR)
    assert cause in run.cause
    assert run.finished_at is not None
    assert champion(home) == "v1"
    assert registered(home) == ["v1"]
    assert len(home.champion("toy").predict(rows)) == 600
    state, attempt = stepped(home, run.id)["train"]
    assert (state, attempt) == ("error", 1)
    trace = home.shop.run_folder(run.id) / "train-error.txt"
    assert cause in trace.read_text()
    if way != "predicts NaN":
        log = home.shop.run_folder(run.id) / "train" / "log.txt"
        assert str(log) in run.cause
        assert log.is_file()
    assert "run_finished" in kinds
    assert home.status("toy")[0]["health"] == "last run failed"
    assert home.tick("toy").outcome == "NO_CHANGE"  # the error ended it


def nan_loss(actual: Any, predicted: Any) -> Any:
    return np.where(np.arange(len(actual)) == 0, np.nan, 0.0)


def test_a_loss_of_nan_in_validation_ends_the_run(home_of: HomeOf, stream_frame: Rows) -> None:
    home = home_of(toy_loop(stream_frame(600), until=400, loss=nan_loss))
    assert home.tick("toy").outcome == "ERROR"
    run = ran(home)[-1]
    assert "loss of candidate is NaN or inf on 1 rows" in run.cause
    assert stepped(home, run.id)["validate"][0] == "error"
    assert champion(home) is None


def nobody_passes(candidate: Scores, champion: Scores | None, rows: Any, run: Run) -> Verdict:
    return Verdict("mine", champion is None, "nobody passes here", {"loss": candidate.loss})


def test_a_gate_that_refuses_keeps_the_champion_with_both_scores_and_the_reason(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    loop = toy_loop(
        stream_frame(600), until=400, gates=[rk.NotWorse(), nobody_passes], policy=AtBatches((4,))
    )
    home = home_of(loop)
    home.tick("toy")
    loop.source.until = 500
    report = home.tick("toy")
    assert report.outcome == "KEPT_CHAMPION"
    run = report.run
    assert run is not None
    assert (run.state, run.outcome, run.version) == (RunState.FAILED, Outcome.KEPT_CHAMPION, None)
    assert "mine: nobody passes here" in run.cause
    assert {"candidate_loss", "champion_loss", "candidate_metric", "champion_metric"} <= set(run.metadata)
    assert [v["gate"] for v in run.metadata["verdicts"]] == ["NotWorse", "mine"]
    assert run.metadata["champion_loss"] == pytest.approx(scored(home)[1][4])
    assert registered(home) == ["v1"]
    assert list(stepped(home, run.id)) == STEPS[:-1]


def test_a_promotion_changes_everything_at_once(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(600), until=400, policy=AtBatches((4,)))
    home = home_of(loop)
    kinds = heard(home)
    home.tick("toy")
    loop.source.until = 500
    report = home.tick("toy")
    run = report.run
    assert run is not None
    assert (run.state, run.outcome, run.version) == (RunState.COMPLETED, Outcome.PROMOTED, 2)
    assert run.cause.startswith("v1 -> v2: ")
    assert stepped(home, run.id) == dict.fromkeys(STEPS, ("done", 1))
    assert kinds.count("promoted") == 2
    version = home.registry.champion("toy")
    assert version is not None
    assert version.run == run.id
    assert version.metadata["candidate_metric"] is not None
    assert version.metadata["champion_metric"] is not None
    assert version.metadata["retrained_at"]
    previous = home.registry.bearer("toy", "previous")
    assert previous is not None
    assert previous.number == 1
    assert isinstance(loop.policy, AtBatches)
    assert [r.id for r in loop.policy.seen] == [r.id for r in ran(home)]
    assert Path(run.metadata["candidate"]).is_dir()
    assert not Path(run.metadata["twin"]).exists()  # judged; only the candidate is worth its room


def test_the_twin_and_the_champion_never_saw_the_rows_that_judge(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(900), until=400, policy=AtBatches((6,)))
    home = home_of(loop)
    for until in (400, 700):
        loop.source.until = until
        home.tick("toy")
    run = ran(home)[-1]
    assert run.metadata["judged"] == [5, 6]  # 200 rows, none of them the champion's
    assert run.metadata["champion_batch"] == 3
    assert run.metadata["rows"] == 700


class Raises:
    """A window rule, gate or policy that raises."""

    def __call__(self, *given: object) -> Any:
        raise KeyError("mine")


@pytest.mark.parametrize("field", ["window", "gates"])
def test_a_plug_in_that_raises_is_named(field: str, home_of: HomeOf, stream_frame: Rows) -> None:
    fields: dict[str, Any] = {field: Raises() if field == "window" else [Raises()]}
    home = home_of(toy_loop(stream_frame(600), until=400, **fields))
    assert home.tick("toy").outcome == "ERROR"
    assert ran(home)[0].cause.startswith(f"{field}=")
    assert "it raised KeyError: 'mine'" in ran(home)[0].cause


def says_yes(*given: object) -> Any:
    return True


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"gates": [says_yes]}, "it must return a Verdict, it gave bool"),
        ({"window": says_yes}, "it must return a Window, it gave bool"),
    ],
)
def test_a_plug_in_that_returns_something_else_is_told_what_to_return(
    fields: dict[str, Any], told: str, home_of: HomeOf, stream_frame: Rows
) -> None:
    home = home_of(toy_loop(stream_frame(600), until=400, **fields))
    home.tick("toy")
    assert told in ran(home)[0].cause


def looks_ahead(history: History) -> Window:
    return Window(None, None, "greedy")


def test_a_window_never_reaches_past_the_decision(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(900), until=450, window=looks_ahead)
    home = home_of(loop)
    home.tick("toy")
    assert ran(home)[0].metadata["window"] == {"start": None, "end": 400, "rule": "greedy", "half_life": None}
    assert ran(home)[0].metadata["rows"] == 400


def test_a_policy_that_raises_is_named_and_one_that_cannot_learn_undoes_nothing(
    home_of: HomeOf, stream_frame: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(AtBatches):
        def observe(self, outcome: Run) -> None:
            raise ValueError("cannot learn")

    home = home_of(toy_loop(stream_frame(600), until=400, policy=Stubborn()))
    assert home.tick("toy").outcome == "PROMOTED"
    assert "could not take note" in caplog.text

    class Undecided(AtBatches):
        decide = Raises()  # type: ignore[assignment]

    home = home_of(toy_loop(stream_frame(600), until=500, policy=Undecided()))
    with pytest.raises(DeclarationError, match=r"policy=.*it raised KeyError"):
        home.tick("toy")


def test_a_promotion_beside_a_run_keeps_the_champion_that_is(
    home_of: HomeOf, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The candidate was judged against v2; meanwhile somebody made v1 champion again."""
    loop = toy_loop(stream_frame(900), until=400, policy=AtBatches((4, 5)))
    home = home_of(loop)
    for until in (400, 500):
        loop.source.until = until
        home.tick("toy")
    real = retrain.judge

    def judged(story: Any) -> dict[str, Any]:
        home.rollback("toy", "meanwhile")
        return real(story)

    monkeypatch.setattr(retrain, "judge", judged)
    loop.source.until = 600
    report = home.tick("toy")
    assert report.outcome == "KEPT_CHAMPION"
    assert report.run is not None
    assert "a newer promotion came first" in report.run.cause
    assert champion(home) == "v1"
    assert registered(home) == ["v1", "v2"]
    assert stepped(home, report.run.id)["release"][0] == "error"


def test_a_run_that_ended_meanwhile_releases_nothing(
    home_of: HomeOf, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = toy_loop(stream_frame(900), until=400, policy=AtBatches((4,)))
    home = home_of(loop)
    home.tick("toy")
    real = retrain.judge

    def judged(story: Any) -> dict[str, Any]:
        with home.store.begin() as conn:
            runs.finish(
                conn,
                story.run.id,
                RunState.FAILED,
                Outcome.KEPT_CHAMPION,
                at=home.clock.now(),
                cause="rejected",
            )
        return real(story)

    monkeypatch.setattr(retrain, "judge", judged)
    loop.source.until = 500
    home.tick("toy")
    assert (ran(home)[-1].outcome, ran(home)[-1].cause) == (Outcome.KEPT_CHAMPION, "rejected")
    assert champion(home) == "v1"
    assert registered(home) == ["v1"]


def test_a_loop_has_one_run_at_a_time(home_of: HomeOf, stream_frame: Rows) -> None:
    loop = toy_loop(stream_frame(900), until=400, act="approve")
    home = home_of(loop)
    waiting = home.tick("toy").run
    assert waiting is not None
    again = home.retrain("toy", "once more")
    assert again.run is None
    assert again.decisions[0].rule == "OpenRun"
    with home.store.begin() as conn:
        taken = runs.add(
            conn, Run(**{f: getattr(waiting, f) for f in Run.__dataclass_fields__} | {"id": "run-x"})
        )
    assert taken.id == waiting.id


def test_run_ids_cannot_collide() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: new_id("run-", MONDAY), range(5000)))
    assert len(set(made)) == 5000


def test_a_stopped_run_goes_on_where_it_stood(home_of: HomeOf, stream_frame: Rows) -> None:
    from rekindle.errors import Stopped

    loop = toy_loop(stream_frame(600), until=400)
    home = home_of(loop)

    def stop(text: str, share: float) -> None:
        home.stopping = home.stopping or (text == "train" and share == 0.0)

    home.shop.say = stop
    with pytest.raises(Stopped, match="before 'validate'"):
        home.tick("toy")
    (run,) = ran(home)
    assert run.state is RunState.RUNNING
    assert stepped(home, run.id)["train"] == ("done", 1)  # the step was finished
    again = home_of(loop)
    again.tick("toy")
    assert ran(again)[0].outcome is Outcome.PROMOTED
    assert {attempt for _, attempt in stepped(again, run.id).values()} == {1}
    assert registered(again) == ["v1"]


def test_in_a_hurry_the_training_is_not_finished(home_of: HomeOf, stream_frame: Rows) -> None:
    from rekindle.errors import Stopped

    loop = toy_loop(stream_frame(600), until=400, trainer=ill("hangs"))
    home = home_of(loop)

    def stop(text: str, share: float) -> None:
        if text == "fitting the twin that will be judged":
            home.stopping = home.hurried = True

    home.shop.say = stop
    with pytest.raises(Stopped):
        home.tick("toy")
    (run,) = ran(home)
    assert run.state is RunState.RUNNING
    assert stepped(home, run.id)["train"] == ("running", 1)


def test_a_signal_to_the_whole_service_does_not_end_the_run_as_an_error(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    """systemd sends SIGTERM to every process; the training dies of it before it is finished."""
    from rekindle.errors import Stopped

    loop = toy_loop(stream_frame(600), until=400, trainer=ill("is killed"))
    home = home_of(loop)

    def stop(text: str, share: float) -> None:
        home.stopping = home.stopping or (text == "train")

    home.shop.say = stop
    with pytest.raises(Stopped):
        home.tick("toy")
    assert ran(home)[0].state is RunState.RUNNING


def test_a_changed_trainer_is_answered_at_once(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(600)
    first = home_of(toy_loop(rows, until=400))
    first.tick("toy")
    assert first.check("toy").changed == ()
    changed = toy_loop(rows, until=400, trainer=rk.Estimator(LogisticRegression(C=0.5)))
    home = home_of(changed)
    report = home.check("toy")
    assert report.changed == ("trainer.model.C: 1.0 -> 0.5",)
    assert report.advised
    report = home_of(changed).check("toy")  # another look says the same
    assert report.changed
    assert report.advised
    assert first.tick("toy").decisions == ()  # who still holds the old declaration does not answer
    (decision,) = home.tick("toy").decisions
    assert (decision.rule, decision.reason) == ("Declaration", "declaration changed")
    assert decision.evidence["changed"] == ["trainer.model.C: 1.0 -> 0.5"]
    run = ran(home)[-1]
    assert (run.strategy, run.trigger) == ("manual", "manual")
    assert home.tick("toy").decisions == ()
    assert home.check("toy").changed == ()


@pytest.mark.parametrize("step", ["snapshot", "validate"])
def test_a_run_cut_off_before_its_training_does_not_go_on_under_another_declaration(
    step: str, home_of: HomeOf, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = stream_frame(600)
    home = home_of(toy_loop(rows, until=400))

    def dies(story: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(retrain, step, dies)
        with pytest.raises(KeyboardInterrupt):
            home.tick("toy")
    again = home_of(toy_loop(rows, until=400, trainer=rk.Estimator(LogisticRegression(C=0.5))))
    again.tick("toy")
    first, second = ran(again)
    if step == "snapshot":
        assert first.outcome is Outcome.ERROR
        assert "trainer.model.C: 1.0 -> 0.5" in first.cause
    else:  # what was trained under its declaration may be judged and released
        assert first.outcome is Outcome.PROMOTED
    assert second.outcome is not Outcome.ERROR
    assert first.revision != second.revision
    assert second.revision == again.shop.revisions["toy"]


def test_a_change_that_makes_no_other_model_starts_nothing(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(600)
    home_of(toy_loop(rows, until=400)).tick("toy")
    home = home_of(toy_loop(rows, until=400, gates=[rk.NotWorse()]))
    assert home.tick("toy").decisions == ()
    assert home.check("toy").changed != ()


def test_a_changed_declaration_under_advise_is_advised_once(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(600)
    home_of(toy_loop(rows, until=400)).tick("toy")
    loop = toy_loop(rows, until=400, act="advise", trainer=rk.Estimator(LogisticRegression(C=0.5)))
    home = home_of(loop)
    assert [d.rule for d in home.tick("toy").decisions] == ["Declaration"]
    assert home.tick("toy").decisions == ()
    assert len(ran(home)) == 1
    assert home.check("toy").advised


def test_a_run_that_died_does_not_start_the_cooldown_and_one_that_ended_does(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    rows = stream_frame(96 * 12, start=MONDAY, step=timedelta(minutes=15))
    clock = ManualClock(MONDAY + 5 * DAY)
    guards: dict[str, Any] = {"policy": rk.Always(), "guards": [Cooldown("60h")]}
    home_of(toy_loop(rows, **guards), clock=clock).tick("toy")
    clock.advance(3 * DAY)
    home = home_of(toy_loop(rows, trainer=ill("raises"), **guards), clock=clock)
    assert home.tick("toy").outcome == "ERROR"
    clock.advance(DAY)
    home = home_of(toy_loop(rows, **guards), clock=clock)
    assert home.tick("toy").outcome == "PROMOTED"
    clock.advance(DAY)
    (decision,) = home.tick("toy").decisions
    assert decision.rule == "Cooldown"
    assert "36.0 h left" in decision.reason


def test_the_cooldown_of_one_loop_does_not_hold_back_another(home_of: HomeOf, stream_frame: Rows) -> None:
    rows = stream_frame(96 * 8, start=MONDAY, step=timedelta(minutes=15))
    clock = ManualClock(MONDAY + 5 * DAY)
    guards: dict[str, Any] = {"policy": rk.Always(), "guards": [Cooldown("30h")]}
    home = home_of([toy_loop(rows, name="one", **guards), toy_loop(rows, name="two", **guards)], clock=clock)
    home.tick("one")
    clock.advance(DAY)
    assert home.tick("two").outcome == "PROMOTED"  # its first model
    clock.advance(DAY)
    assert [d.rule for d in home.tick("one").decisions][-1] == "Always"
    assert [d.rule for d in home.tick("two").decisions][-1] == "Cooldown"


def test_a_column_that_is_gone_is_said_and_a_retraining_by_hand_goes_on_without_it(
    home_of: HomeOf, stream_frame: Rows
) -> None:
    from rekindle.errors import SchemaError

    rows = stream_frame(1200)
    fields: dict[str, Any] = {"features": (), "triggers": [rk.DataDrift(min_rows=50)]}
    loop = toy_loop(rows, until=400, **fields)
    home = home_of(loop)
    home.tick("toy")
    loop.source.replace(rows.drop(columns="x1"))
    loop.source.until = 600
    with pytest.raises(SchemaError, match=r"'x1' is gone.*rekindle retrain"):
        home.tick("toy")
    report = home.retrain("toy", "x1 is no more")
    assert report.outcome == "PROMOTED"
    assert [d.batch for d in home.tick("toy").decisions] == [4, 5]
    loop.source.until = 700
    assert [d.batch for d in home.tick("toy").decisions] == [6]
    assert sorted(scored(home)[2]) == [6]
    loop.source.replace(rows)
    home.rollback("toy", "x1 is back")
    loop.source.until = 800
    home.tick("toy")
    assert 7 in scored(home)[1]


def test_rollback_points_triggers_and_contract_back_in_one_transaction(
    home_of: HomeOf, stream_frame: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rekindle.app import standing
    from rekindle.store import outbox

    loop = toy_loop(stream_frame(900), until=400, policy=AtBatches((4,)), triggers=[rk.Volume(10_000)])
    home = home_of(loop)
    for until in (400, 500):
        loop.source.until = until
        home.tick("toy")

    def dies(*given: object) -> None:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(standing, "rereference", dies)
        with pytest.raises(MemoryError):
            home.rollback("toy", "why")
    assert champion(home) == "v2"
    with home.store.read() as conn:
        assert outbox.pending(conn) == []
    assert home.rollback("toy", "why").label == "v1"
    assert champion(home) == "v1"
    with home.store.read() as conn:
        assert set(versions.aliases(conn, "toy")) == {"champion", "previous"}

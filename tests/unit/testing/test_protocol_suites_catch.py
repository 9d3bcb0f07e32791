"""The conformance suites themselves: each promise, broken on purpose, is noticed."""

import random
import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from rekindle.data.source import Frame
from rekindle.policy.price import Price
from rekindle.policy.ski_rental import SkiRental
from rekindle.records import Action, Decision, Window
from rekindle.testing.policies import PolicySuite
from rekindle.testing.sources import SourceSuite
from rekindle.testing.trainers import TrainerSuite
from rekindle.training.estimator import Estimator

COLUMNS = {"time": "t", "label": "label", "label_time": "known", "id": "id"}


def notices(suite, promise):
    """Does the suite find this promise broken?"""
    try:
        getattr(suite, f"test_{promise}")()
    except Exception:  # noqa: BLE001 - whatever it raises, it noticed
        return True
    return False


class Sources(SourceSuite):
    def __init__(self, kind):
        self.kind = kind

    def make(self, rows):
        return self.kind(rows, **COLUMNS)


class Unsorted(Frame):
    def read(self, window):
        return super().read(window).iloc[::-1].reset_index(drop=True)


class Greedy(Frame):
    """Takes the end of a window in."""

    def read(self, window):
        rows = super().read(Window(window.start, None))
        return rows if window.end is None else rows[rows["t"] <= window.end].reset_index(drop=True)


class Naive(Frame):
    def read(self, window):
        rows = super().read(window)
        return rows.assign(t=rows["t"].dt.tz_localize(None))


class Rounding(Frame):
    def read(self, window):
        rows = super().read(window)
        return rows.assign(x=rows["x"].round(2))


class Filling(Frame):
    def read(self, window):
        rows = super().read(window)
        return rows.assign(label=rows["label"].fillna(0.0))


class Sharing(Frame):
    """Hands out its own rows."""

    def read(self, window):
        return self.rows if window == Window(None, None) else super().read(window)


class Miscounting(Frame):
    def extent(self):
        return replace(super().extent(), rows=47)


class Silent(Frame):
    """Gives nothing at all for an empty window."""

    def read(self, window):
        rows = super().read(window)
        return rows if len(rows) else pd.DataFrame()


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Unsorted, "all_rows_come_in_time_order"),
        (Greedy, "a_window_begins_with_its_start_and_ends_before_its_end"),
        (Greedy, "neighbouring_windows_share_no_row_and_lose_none"),
        (Naive, "all_rows_come_in_time_order"),
        (Rounding, "no_value_is_changed"),
        (Filling, "no_value_is_changed"),
        (Sharing, "reading_again_gives_the_same"),
        (Miscounting, "extent_is_oldest_newest_and_count"),
        (Silent, "an_empty_window_has_columns_and_no_rows"),
    ],
)
def test_a_source_that_breaks_a_promise_is_noticed(kind, promise):
    assert notices(Sources(kind), promise)
    assert not notices(Sources(Frame), promise)


class Trainers(TrainerSuite):
    def __init__(self, kind):
        self.kind = kind

    def make(self):
        return self.kind(LogisticRegression())


class Chancy(Estimator):
    def fit(self, train, valid, previous):
        keep = np.array([random.random() < 0.8 for _ in range(len(train))])
        part = replace(train, features=train.features[keep], label=train.label[keep])
        return super().fit(part, valid, previous)


class Meddling(Estimator):
    def fit(self, train, valid, previous):
        train.features["x0"] = train.features["x0"] - train.features["x0"].mean()
        return super().fit(train, valid, previous)


class Remembering(Estimator):
    def fit(self, train, valid, previous):
        self.last = len(train)
        return super().fit(train, valid, previous)


class Relative(Estimator):
    """Answers a row by what stands beside it."""

    def predict(self, model, rows):
        return super().predict(model, rows.assign(x0=rows["x0"] - rows["x0"].mean()))


class Careless(Estimator):
    def save(self, model, folder):
        super().save(model, folder)
        (folder.parent / "log.txt").write_text("saved")


class Forgetful(Estimator):
    def load(self, folder):
        model = super().load(folder)
        model[-1].coef_ = model[-1].coef_ * 0
        return model


class Short(Estimator):
    def predict(self, model, rows):
        return super().predict(model, rows)[1:]


class Rooted(Estimator):
    def __init__(self, model):
        super().__init__(model)
        self.lock = threading.Lock()  # cannot be sent to a child


class Useless(Estimator):
    def predict(self, model, rows):
        return np.full(len(rows), "no", dtype=object)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Chancy, "same_rows_same_model"),
        (Meddling, "fitting_changes_neither_its_rows_nor_itself"),
        (Remembering, "fitting_changes_neither_its_rows_nor_itself"),
        (Relative, "a_row_alone_is_answered_as_among_others"),
        (Careless, "it_comes_back_from_its_files"),
        (Forgetful, "it_comes_back_from_its_files"),
        (Short, "one_prediction_per_row"),
        (Rooted, "it_travels_to_a_training_child"),
        (Useless, "it_learns"),
    ],
)
def test_a_trainer_that_breaks_a_promise_is_noticed(kind, promise):
    assert notices(Trainers(kind), promise)
    assert not notices(Trainers(Estimator), promise)


class Policies(PolicySuite):
    def __init__(self, kind):
        self.kind = kind

    def make(self):
        return self.kind(Price.ratio(0.02))


class Mute(SkiRental):
    def decide(self, view):
        return replace(super().decide(view), reason="")


class Terse(SkiRental):
    def decide(self, view):
        return replace(super().decide(view), would_change="")


class Loud(SkiRental):
    def decide(self, view):
        return replace(super().decide(view), priority=9)


class Strange(SkiRental):
    def decide(self, view):
        return replace(super().decide(view), evidence={"loss": np.float32(0.1), "nothing": float("nan")})


class Strict(SkiRental):
    def decide(self, view):
        if not view.losses.get(view.champion):
            raise KeyError("no losses")
        return super().decide(view)


class Hot(SkiRental):
    def decide(self, view):
        action = random.choice([Action.WAIT, Action.RETRAIN])
        return replace(super().decide(view), action=action)


class Timed(SkiRental):
    def decide(self, view):
        action = Action.RETRAIN if view.now.year > 2100 else Action.WAIT
        return replace(super().decide(view), action=action)


class Writing(SkiRental):
    def decide(self, view):
        view.losses.setdefault(99, {})
        return super().decide(view)


class Idle(SkiRental):
    def decide(self, view):
        return replace(super().decide(view), action=Action.WAIT, would_change="nothing")


class Unlearning(SkiRental):
    def observe(self, outcome):
        raise ValueError(outcome.outcome)


@dataclass
class Counting:
    """Counts in the open, so that its declaration changes as it learns."""

    price: Price
    seen: list = field(default_factory=list)

    def decide(self, view):
        return Decision(Action.RETRAIN, "Counting", f"{len(self.seen)} so far")

    def observe(self, outcome):
        self.seen.append(outcome.batch)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Mute, "every_decision_can_be_read_and_stored"),
        (Terse, "every_decision_can_be_read_and_stored"),
        (Loud, "every_decision_can_be_read_and_stored"),
        (Strange, "every_decision_can_be_read_and_stored"),
        (Strict, "missing_losses_are_no_error"),
        (Hot, "same_views_same_decisions"),
        (Timed, "it_asks_no_clock_but_the_views"),
        (Writing, "the_view_is_only_looked_at"),
        (Idle, "it_acts_as_expected"),
        (Unlearning, "every_end_of_a_run_may_be_observed"),
        (Counting, "it_is_told_as_json_the_same_each_time"),
    ],
)
def test_a_policy_that_breaks_a_promise_is_noticed(kind, promise):
    assert notices(Policies(kind), promise)
    assert not notices(Policies(SkiRental), promise)

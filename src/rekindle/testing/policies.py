"""The conformance suite of policies, run on all of rekindle's own."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.declaration import declare
from rekindle.records import Action, Decision, Kind, Outcome, Run, RunState, Signal, View

if TYPE_CHECKING:
    from rekindle.protocols import Policy

__all__ = ["PolicySuite", "sample_view"]

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HISTORY = 8  # batches before the first decision
LIFE = 40  # batches in all
PRICE = 0.05


class PolicySuite:
    """Subclass it, say how to `make` the policy, and pytest runs every promise of the protocol.

    The policy lives through 32 batches of a model whose loss creeps up from batch 20 on; each retraining makes it
    good again. `acts` says whether the policy is expected to retrain at all.

        class TestMyPolicy(PolicySuite):
            def make(self):
                return MyPolicy(patience=3)
    """

    acts = True

    def make(self) -> Policy:
        """A new policy, the same each time."""
        raise NotImplementedError(f"{type(self).__name__} must say how to make its policy")

    def test_it_acts_as_expected(self) -> None:
        actions = [decision.action for _, decision in self._live()]
        assert (Action.RETRAIN in actions) == self.acts
        assert len(actions) == LIFE - HISTORY

    def test_every_decision_can_be_read_and_stored(self) -> None:
        for view, decision in self._live():
            assert isinstance(decision, Decision)
            assert isinstance(decision.action, Action)
            assert decision.rule, "which rule decided"
            assert decision.reason, "why, for people; also for wait"
            assert decision.priority in range(1, 6)
            assert decision.action is not Action.WAIT or decision.would_change, "what would have changed it"
            told = [decision.evidence, decision.expected_saving, decision.price]
            assert json.loads(json.dumps(told, allow_nan=False)) == told, (
                f"batch {view.batch}: not plain JSON"
            )
            if decision.expected_saving is not None:
                assert math.isfinite(decision.expected_saving)

    def test_same_views_same_decisions(self) -> None:
        assert [d for _, d in self._live()] == [d for _, d in self._live()]

    def test_asking_twice_gives_the_same_answer(self) -> None:
        policy = self.make()
        for view in (sample_view(9), sample_view(25), sample_view(39)):
            assert policy.decide(view) == policy.decide(view)

    def test_the_view_is_only_looked_at(self) -> None:
        policy = self.make()
        for batch in (8, 20, 39):
            view = sample_view(batch)
            before = copy.deepcopy(view)
            policy.decide(view)
            assert view == before

    def test_it_asks_no_clock_but_the_views(self) -> None:
        """The same life told a thousand years later is the same life."""
        later = timedelta(days=365_000)
        for batch in (9, 25, 39):
            view = sample_view(batch)
            finished = None if view.finished_at is None else view.finished_at + later
            moved = replace(view, now=view.now + later, finished_at=finished)
            assert self.make().decide(moved).action == self.make().decide(view).action

    def test_missing_losses_are_no_error(self) -> None:
        view = sample_view(25)
        own = view.losses[1]
        gaps = {batch: loss for batch, loss in own.items() if batch % 3 == 0}
        one = dict(list(own.items())[:1])
        missing: tuple[dict[int, dict[int, float]], ...] = ({}, {1: {}}, {2: dict(own)}, {1: gaps}, {1: one})
        for losses in missing:
            decision = self.make().decide(replace(view, losses=losses))
            assert decision.reason

    def test_losses_at_the_edges_are_no_error(self) -> None:
        view = sample_view(25)
        for loss in (0.0, 1.0, 1e-300, 1e6):
            decision = self.make().decide(replace(view, losses={1: dict.fromkeys(view.losses[1], loss)}))
            json.dumps([decision.evidence, decision.expected_saving], allow_nan=False)

    def test_prices_at_the_edges_are_no_error(self) -> None:
        for price in (1e-12, 1e12):
            decision = self.make().decide(replace(sample_view(25), price=price))
            json.dumps([decision.evidence, decision.expected_saving], allow_nan=False)

    def test_every_end_of_a_run_may_be_observed(self) -> None:
        policy = self.make()
        for batch, (state, outcome) in enumerate(_ENDS):
            policy.observe(_run(batch + HISTORY, state, outcome))
            policy.decide(sample_view(30))

    def test_copies_share_nothing(self) -> None:
        declared = self.make()
        told, first = declare(declared), declared.decide(sample_view(30))
        live = copy.deepcopy(declared)
        list(_live(live))
        assert declare(declared) == told
        assert declared.decide(sample_view(30)) == first

    def test_it_is_told_as_json_the_same_each_time(self) -> None:
        told = declare(self.make())
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        used = self.make()
        list(_live(used))
        assert declare(used) == told, "what it learns is no part of what was declared"

    def _live(self) -> Iterator[tuple[View, Decision]]:
        return _live(self.make())


_ENDS = [
    (RunState.COMPLETED, Outcome.PROMOTED),
    (RunState.COMPLETED, Outcome.RELEASED),
    (RunState.COMPLETED, Outcome.ROLLED_BACK),
    (RunState.FAILED, Outcome.KEPT_CHAMPION),
    (RunState.ERROR, Outcome.ERROR),
]


def sample_view(batch: int, *, version: int = 1, trained: int = HISTORY - 1) -> View:
    """What is known after a batch in the life of a model trained on batches up to `trained`."""
    served = {k: _loss(k, k - trained) for k in range(trained + 1, batch + 1)}
    signals = (_signal(batch),) if batch % 5 == 0 else ()
    return View(
        batch=batch,
        champion=version,
        trained=trained,
        tried=trained,
        losses={version: served},
        signals=signals,
        price=PRICE,
        now=START + (batch + 1) * DAY,
        rows=500 * len(served),
        labelled=500 * len(served),
        finished_at=None if version == 1 else START + (trained + 1) * DAY,
        first=HISTORY,
    )


def _live(policy: Policy) -> Iterator[tuple[View, Decision]]:
    version, trained = 1, HISTORY - 1
    for batch in range(HISTORY, LIFE):
        view = sample_view(batch, version=version, trained=trained)
        decision = policy.decide(view)
        yield view, decision
        if decision.action is Action.RETRAIN:
            policy.observe(_run(batch, RunState.COMPLETED, Outcome.PROMOTED))
            version, trained = version + 1, batch


def _loss(batch: int, age: int) -> float:
    noise = float(np.random.default_rng(batch).normal(scale=0.003))
    return 0.10 + noise + (0.02 * min(age, batch - 19) if batch >= 20 else 0.0)


def _signal(batch: int) -> Signal:
    kind = Kind.SCHEDULE if batch % 10 == 0 else Kind.DATA_DRIFT
    return Signal(kind, kind.value, 3, 0.3, 0.2, f"{kind.value} after batch {batch}")


def _run(batch: int, state: RunState, outcome: Outcome) -> Run:
    at: Any = START + batch * DAY
    return Run(f"run-{batch}", "suite", "revision", "triggered", "", "policy", 3, batch, at, state, outcome,
               finished_at=at, metadata={"candidate_loss": 0.1, "champion_loss": 0.12})  # fmt: skip

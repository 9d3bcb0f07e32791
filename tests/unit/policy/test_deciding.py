"""One decision out of signals, policy and guards."""

from dataclasses import replace

import pytest

from rekindle.errors import DeclarationError, RekindleError
from rekindle.policy.deciding import decide, ordered_run, run_strategy
from rekindle.policy.guards import Cooldown, MinPriority, MinRows
from rekindle.policy.price import Price
from rekindle.policy.rules import Always, Every, Never
from rekindle.policy.ski_rental import SkiRental
from rekindle.records import Action, Decision, Kind, RunState


class Odd:
    """A policy that answers whatever it was given."""

    def __init__(self, answer):
        self.answer = answer

    def decide(self, view):
        return self.answer

    def observe(self, outcome):
        pass


def test_a_persons_wish_overrides_policy_and_guards(view_of, signal_of):
    wish = signal_of(4, Kind.MANUAL, trigger="Person", reason="manual: new rules", evidence={"actor": "me"})
    guards = (MinRows(10**9), MinPriority(5), Cooldown("30d"))
    now = view_of().now
    view = view_of(signals=(signal_of(1), wish), labelled=0, finished_at=now)
    decision = decide(Never(), guards, view)
    assert decision.action is Action.RETRAIN
    assert (decision.rule, decision.reason, decision.priority) == ("Person", "manual: new rules", 4)
    assert decision.evidence == {"actor": "me"}


def test_the_policy_proposes(view_of):
    assert decide(Always(), (), view_of()).rule == "Always"
    assert decide(Never(), (MinRows(10**9),), view_of()).rule == "Never"


def test_the_first_guard_that_objects_holds_it_back(view_of):
    view = view_of(labelled=5, finished_at=view_of().now)
    decision = decide(Always(), (MinRows(100), Cooldown("24h")), view)
    assert decision.action is Action.WAIT
    assert decision.rule == "MinRows"
    decision = decide(Always(), (MinRows(1), Cooldown("24h")), view)
    assert decision.rule == "Cooldown"


def test_an_objection_keeps_what_the_policy_said(view_of):
    view = view_of({1: {8: 0.1, 9: 0.1, 10: 0.5}}, labelled=5, price=0.02)
    decision = decide(SkiRental(Price.ratio(0.02)), (MinRows(100),), view)
    assert decision.action is Action.WAIT
    assert decision.evidence["policy"] == "SkiRental"
    assert "excess loss" in decision.evidence["policy_reason"]
    assert decision.evidence["needed"] == 100
    assert decision.price == 0.02
    assert decision.expected_saving is not None
    assert decision.would_change == "95 more labelled rows"


def test_the_strongest_signal_raises_the_priority_of_the_run(view_of, signal_of):
    assert decide(Always(), (), view_of(signals=(signal_of(5), signal_of(2)))).priority == 5
    assert decide(Always(), (), view_of(signals=(signal_of(1),))).priority == 3


@pytest.mark.parametrize("answer", [None, True, "retrain", Action.RETRAIN])
def test_a_policy_that_gives_no_decision_is_named(view_of, answer):
    with pytest.raises(DeclarationError, match=r"policy=.*must return a Decision"):
        decide(Odd(answer), (), view_of())


@pytest.mark.parametrize("answer", [True, False, "no"])
def test_a_guard_that_gives_no_decision_is_named(view_of, answer):
    with pytest.raises(DeclarationError, match=r"guards=.*None or a Decision"):
        decide(Always(), (lambda view: answer,), view_of())


def test_a_guard_that_raises_is_named_not_the_policy(view_of):
    def broken(view):
        return 1 / 0

    with pytest.raises(DeclarationError, match=r"guards=.*broken.*ZeroDivisionError"):
        decide(Always(), (broken,), view_of())

    def strict(view):
        raise RekindleError("no rows at night")

    with pytest.raises(RekindleError, match="at night"):
        decide(Always(), (strict,), view_of())


@pytest.mark.parametrize(
    ("rule", "signals", "expected"),
    [
        ("FirstModel", [], ("first", "first_model")),
        ("SkiRental", [], ("triggered", "policy")),
        ("SoftWithFallback", [(3, Kind.SCHEDULE)], ("scheduled", "schedule")),
        ("SoftWithFallback", [(3, Kind.SCHEDULE), (4, Kind.DATA_DRIFT)], ("triggered", "data_drift")),
        ("Person", [(3, Kind.MANUAL), (5, Kind.DATA_DRIFT)], ("manual", "manual")),
        ("Every", [(2, Kind.DATA_VOLUME)], ("triggered", "data_volume")),
    ],
)
def test_strategy_and_trigger_of_a_run(signal_of, rule, signals, expected):
    decision = Decision(Action.RETRAIN, rule, "")
    assert run_strategy(decision, [signal_of(s, k) for s, k in signals]) == expected


def test_the_run_carries_what_the_decision_said(view_of, signal_of):
    signals = (signal_of(4, since=7), signal_of(5, Kind.PERFORMANCE_DECAY, since=5), signal_of(1))
    decision = decide(Every(1), (), view_of(signals=signals, tried=3, batch=9))
    decision = replace(decision, loop="churn", batch=9, at=view_of().now, signals=signals)
    run = ordered_run(decision, "abc")
    assert (run.loop, run.revision, run.batch, run.priority) == ("churn", "abc", 9, 5)
    assert (run.strategy, run.trigger, run.since) == ("triggered", "performance_decay", 5)
    assert run.state is RunState.QUEUED
    assert run.created_at == decision.at

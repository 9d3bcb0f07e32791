"""Policies without a price: never, always, every k, and signals with a hard schedule (row 13)."""

import pytest

from rekindle.errors import DeclarationError
from rekindle.policy.rules import Always, Every, Never, SoftWithFallback, strongest
from rekindle.records import Action, Kind


def test_never_and_always(view_of, signal_of):
    for signals in ((), (signal_of(5),)):
        assert Never().decide(view_of(signals=signals)).action is Action.WAIT
        assert Always().decide(view_of(signals=signals)).action is Action.RETRAIN


@pytest.mark.parametrize(("age", "action"), [(0, "wait"), (6, "wait"), (7, "retrain"), (8, "retrain")])
def test_every_counts_from_the_last_training(view_of, age, action):
    decision = Every(7).decide(view_of(trained=2, tried=10, batch=10 + age))
    assert decision.action == action
    assert decision.evidence == {"batches_since": age, "every": 7}


def test_every_seven_batches_retrains_every_seven_batches(view_of):
    tried, chosen = 0, []
    for batch in range(1, 30):
        if Every(7).decide(view_of(trained=0, tried=tried, batch=batch)).action is Action.RETRAIN:
            chosen.append(batch)
            tried = batch
    assert chosen == [7, 14, 21, 28]


@pytest.mark.parametrize(("severity", "action"), [(1, "wait"), (2, "wait"), (3, "retrain"), (5, "retrain")])
def test_soft_triggers_are_obeyed_from_severity_three(view_of, signal_of, severity, action):
    decision = SoftWithFallback().decide(view_of(signals=(signal_of(severity),)))
    assert decision.action == action
    assert decision.reason


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_the_schedule_counts_whatever_its_severity(view_of, signal_of, severity):
    decision = SoftWithFallback().decide(view_of(signals=(signal_of(severity, Kind.SCHEDULE),)))
    assert decision.action is Action.RETRAIN
    assert decision.priority == severity


def test_without_a_signal_it_waits_for_its_fallback(view_of):
    rule = SoftWithFallback(every=10)
    assert rule.decide(view_of(tried=5, batch=14)).action is Action.WAIT
    decision = rule.decide(view_of(tried=5, batch=15))
    assert decision.action is Action.RETRAIN
    assert decision.reason.startswith("fallback: 10 batches")
    assert SoftWithFallback().decide(view_of(tried=0, batch=10_000)).action is Action.WAIT


def test_the_strongest_heeded_signal_gives_the_reason(view_of, signal_of):
    signals = (signal_of(3), signal_of(5, Kind.PERFORMANCE_DECAY), signal_of(5, Kind.CONCEPT_DRIFT))
    decision = SoftWithFallback().decide(view_of(signals=signals))
    assert decision.reason == "performance_decay: performance_decay_5"
    assert decision.evidence["signals"] == [s.reason for s in signals]
    assert strongest(signals) is signals[1]
    assert strongest(()) is None


@pytest.mark.parametrize(
    "make",
    [
        *(lambda v=v: Every(v) for v in (0, -1, 2.5, "7", None, True)),
        *(lambda v=v: SoftWithFallback(severity=v) for v in (0, 6, "3", None, True)),
        *(lambda v=v: SoftWithFallback(every=v) for v in (0, -1, "7", 2.5, True)),
    ],
)
def test_wrong_values_are_refused(make):
    with pytest.raises(DeclarationError, match=r"batches=|severity=|every="):
        make()

"""Ski-rental against the formula: retrain iff the excess over the fresh loss, summed, reaches the price."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import DeclarationError
from rekindle.policy.price import Price
from rekindle.policy.ski_rental import SkiRental
from rekindle.records import Action

RULE = SkiRental(Price.ratio(0.02))
LOSSES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def by_the_formula(losses, price, first, tried):
    """facts/policy.md section 4, word by word: L0 is the mean of the first two; the sum runs since the training."""
    fresh = (losses[0] + losses[1]) / 2 if len(losses) > 1 else losses[0]
    excess = 0.0
    for i, loss in enumerate(losses):
        if first + i > tried:
            excess += loss - fresh
    return excess >= price, excess


def served(losses, first=8):
    return {1: {first + i: loss for i, loss in enumerate(losses)}}


@given(LOSSES, st.floats(0.001, 3), st.integers(0, 40))
def test_it_is_the_formula(view_of, losses, price, since):
    view = view_of(served(losses), price=price, tried=7 + since)
    decision = RULE.decide(view)
    retrain, excess = by_the_formula(losses, price, 8, 7 + since)
    if abs(excess - price) > 1e-9:  # a sum in another order may differ in its last bit
        assert (decision.action is Action.RETRAIN) == retrain
    assert decision.evidence["excess_loss"] == pytest.approx(excess, abs=1e-9)
    assert decision.price == price


@pytest.mark.parametrize(
    ("losses", "price", "retrain"),
    [
        ([0.10], 0.02, False),  # one batch is its own reference
        ([0.10, 0.10], 0.02, False),
        ([0.10, 0.10, 0.11], 0.02, False),  # 0.01 paid
        ([0.10, 0.10, 0.11, 0.11], 0.02, True),  # 0.02 paid: the price exactly
        ([0.10, 0.12, 0.13], 0.02, False),  # reference 0.11: 0.02 of the last, the first two cancel
        ([0.10, 0.12, 0.132], 0.02, True),
        ([0.10, 0.10, 0.30, 0.02], 0.1, True),  # 0.20 - 0.08
        ([0.10, 0.10, 0.30, 0.02, 0.02], 0.1, False),  # what went better since is taken off
        ([0.30, 0.10, 0.10, 0.10], 0.02, False),  # bad from birth: the reference is 0.20
    ],
)
def test_cases_by_hand(view_of, losses, price, retrain):
    decision = RULE.decide(view_of(served(losses), price=price + (-1e-12 if retrain else 1e-12)))
    assert (decision.action is Action.RETRAIN) == retrain


def test_the_price_exactly_is_enough(view_of):
    assert RULE.decide(view_of(served([0.0, 0.0, 0.5]), price=0.5)).action is Action.RETRAIN


def test_a_kept_champion_pays_again_from_the_last_training(view_of):
    """The training was paid for: without the reset a candidate that was kept back would be trained each batch."""
    losses = [0.10, 0.10, 0.20, 0.20, 0.20]  # batches 8 .. 12
    view = view_of(served(losses), price=0.15)
    assert RULE.decide(view).action is Action.RETRAIN
    kept = RULE.decide(replace(view, tried=12))
    assert kept.action is Action.WAIT
    assert kept.evidence["excess_loss"] == 0
    again = RULE.decide(view_of(served([*losses, 0.20, 0.20]), price=0.15, tried=12))
    assert again.action is Action.RETRAIN  # two further batches at 0.10 excess each
    assert again.evidence["fresh_loss"] == pytest.approx(0.10)  # still measured against its youth
    assert again.evidence["batches"] == 2


def test_signals_are_evidence_and_no_order(view_of, signal_of):
    calm = view_of(served([0.1, 0.1, 0.1]), signals=(signal_of(5), signal_of(4)))
    decision = RULE.decide(calm)
    assert decision.action is Action.WAIT
    assert decision.evidence["signals"] == [s.reason for s in calm.signals]


def test_late_labels_leave_gaps_and_no_error(view_of):
    decision = RULE.decide(view_of({1: {8: 0.1, 11: 0.1, 12: 0.5}}, price=0.3))
    assert decision.action is Action.RETRAIN
    assert decision.evidence["fresh_loss"] == pytest.approx(0.1)


def test_without_labels_it_waits_and_says_so(view_of):
    for losses in ({}, {1: {}}, {2: {9: 0.5}}):
        decision = RULE.decide(view_of(losses, champion=1, trained=7))
        assert decision.action is Action.WAIT
        assert "no label" in decision.reason
        assert decision.expected_saving is None


def test_other_models_are_not_looked_at(view_of):
    own = served([0.1, 0.1, 0.1])
    decision = RULE.decide(view_of({**own, 2: {8: 0.9, 9: 0.9}}, champion=1, trained=7))
    assert decision.action is Action.WAIT


def test_it_says_what_would_have_changed_it(view_of):
    wait = RULE.decide(view_of(served([0.10, 0.10, 0.105]), price=0.02))
    assert wait.reason == "excess loss paid so far 0.2 of a retraining's price"
    assert wait.would_change == "0.015 more excess loss"
    well = RULE.decide(view_of(served([0.10, 0.10, 0.05]), price=0.02))
    assert well.reason.startswith("no excess loss so far")


def test_the_expected_saving_is_the_newest_excess_for_as_long_again(view_of):
    decision = RULE.decide(view_of(served([0.10, 0.10, 0.20, 0.22, 0.24]), price=0.05))
    assert decision.expected_saving == pytest.approx(5 * 0.12 - 0.05)


@pytest.mark.parametrize("price", [0.0, 1e-300])
def test_a_retraining_that_costs_nothing_is_no_division_by_zero(view_of, price):
    """Price(per_retrain=0, per_cpu_hour=...) before the first training: its hours are not known yet."""
    decision = RULE.decide(view_of(served([0.1, 0.1, 0.2]), price=price))
    assert decision.action is Action.RETRAIN


def test_it_needs_a_price(view_of):
    with pytest.raises(DeclarationError, match=r"rk.SkiRental"):
        RULE.decide(view_of(served([0.1]), price=None))
    for wrong in (0.02, None, "0.02"):
        with pytest.raises(DeclarationError, match="price="):
            SkiRental(wrong)

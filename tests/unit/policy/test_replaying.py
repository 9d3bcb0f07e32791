"""Policies on a loss matrix: costs by hand, the reference costs of the public streams, and no look ahead."""

import csv
from pathlib import Path

import numpy as np
import pytest

from rekindle.errors import DeclarationError, NotEnoughData
from rekindle.policy.hindsight import best_period, oracle
from rekindle.policy.loss_matrix import LossMatrix
from rekindle.policy.price import Price
from rekindle.policy.replaying import replay
from rekindle.policy.rules import Always, Every, Never
from rekindle.policy.ski_rental import SkiRental
from rekindle.records import Action, Decision

LOSSES = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "losses"
RULES = {
    "never": Never(),
    "every_1": Every(1),
    "every_5": Every(5),
    "every_10": Every(10),
    "ski_rental": SkiRental(Price.ratio(0.02)),
}


def ageing(batches=12, warmup=3, rise=0.01):
    """A model loses `rise` a batch as it ages."""
    i, j = np.indices((batches, batches))
    return LossMatrix(np.where(j > i, 0.1 + rise * (j - i - 1), np.nan), warmup=warmup)


def test_cost_by_hand():
    matrix = ageing(batches=6, warmup=3)  # model 2 serves batches 3, 4, 5
    assert replay(matrix, Never(), 0.5).cost == pytest.approx(0.10 + 0.11 + 0.12)
    always = replay(matrix, Always(), 0.5)
    assert always.cost == pytest.approx(3 * 0.10 + 2 * 0.5)
    assert always.retrained_at == (4, 5)  # before batch 3 there is nothing newer than the first model


def test_oracle_is_never_dearer_and_meets_exhaustive_search():
    rng = np.random.default_rng(5)
    batches, warm, price = 8, 2, 0.07
    values = np.where(np.triu(np.ones((batches, batches)), 1) > 0, rng.random((batches, batches)), np.nan)
    matrix = LossMatrix(values, warmup=warm)
    for delay in (0, 2):
        costs = []
        for plan in range(2 ** (batches - warm)):
            serving, cost = warm - 1, 0.0
            for batch in range(warm, batches):
                newest = batch - 1 - delay
                if plan >> (batch - warm) & 1 and newest > serving:
                    serving, cost = newest, cost + price
                cost += values[serving, batch]
            costs.append(cost)
        found = oracle(matrix, price, delay)
        assert found.cost == pytest.approx(min(costs))
        assert found.cost <= best_period(matrix, price, delay).cost


def test_best_period_of_linear_ageing_is_the_closed_form():
    # facts: k* = sqrt(2 price / b)
    matrix = ageing(batches=200, warmup=2, rise=0.01)
    found = best_period(matrix, 0.5)
    gaps = np.diff(found.retrained_at)
    assert set(gaps.tolist()) == {10}


@pytest.mark.parametrize("delay", [0, 3])
def test_looking_ahead_raises(delay):
    class Peeking:
        def decide(self, view):
            view.losses[view.champion][view.batch + 1]  # the batch that is about to be served
            return Decision(Action.WAIT, "Peeking", "")

    with pytest.raises(LookupError, match="not known yet"):
        replay(ageing(), Peeking(), 0.1, delay)


@pytest.mark.parametrize("delay", [0, 3])
def test_a_policy_sees_all_that_has_arrived(delay):
    seen = []

    class Looking:
        def decide(self, view):
            seen.append(dict(view.losses[view.champion]))
            return Decision(Action.WAIT, "Looking", "")

    replay(ageing(batches=8, warmup=3), Looking(), 0.1, delay)
    assert [max(s, default=2) for s in seen] == [max(2, b - 1 - delay) for b in range(3, 8)]


def test_wrong_matrices_are_refused():
    with pytest.raises(DeclarationError, match="square"):
        LossMatrix(np.ones((2, 3)))
    with pytest.raises(NotEnoughData, match="warm-up of 8"):
        LossMatrix(np.ones((8, 8)), warmup=8)
    holed = ageing().values.copy()
    holed[4, 9] = np.nan
    with pytest.raises(NotEnoughData, match="model 4 in batch 9"):
        LossMatrix(holed, warmup=3)


@pytest.mark.shared
def test_reference_costs_are_reproduced():
    """784 rows of 8 streams, 2 windows and 7 prices, to 1e-6; the number of trainings exactly."""
    if not LOSSES.is_dir():
        pytest.skip("the reference losses are not here")
    with (LOSSES / "expected.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    matrices = {
        key: LossMatrix(np.load(LOSSES / f"{key[0]}.npz")[key[1]])
        for key in {(r["stream"], r["window"]) for r in rows}
    }
    assert len(rows) == 784
    for row in rows:
        matrix, price = matrices[row["stream"], row["window"]], float(row["price"])
        found = _found(row["policy"], matrix, price, int(row["label_delay"]))
        assert found.cost == pytest.approx(float(row["cost"]), abs=1e-6), row
        assert len(found.retrained_at) == int(row["retrains"]), row


def _found(policy, matrix, price, delay):
    if policy == "oracle":
        return oracle(matrix, price, delay)
    if policy == "best_fixed_hindsight":
        return best_period(matrix, price, delay)
    return replay(matrix, RULES[policy], price, delay)

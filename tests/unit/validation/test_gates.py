"""Gates with the guides' own numbers: rows 54-58 and 61."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from rekindle.errors import DeclarationError
from rekindle.records import Run, Scores
from rekindle.validation.gates import Floor, MinLift, NotWorse, Open, RelativeTo

RUN = Run("run-1", "churn", "abc", "triggered", "", "data_drift", 3, 9, datetime(2026, 1, 1, tzinfo=UTC))
ROWS = list(range(100))


def scored(metric, loss=0.1, *, higher=True, losses=None):
    losses = np.full(100, loss) if losses is None else np.asarray(losses, dtype=float)
    return Scores("candidate", float(losses.mean()), losses, metric, higher)


def passes(gate, candidate, champion, *, higher=True, run=RUN):
    against = None if champion is None else scored(champion, higher=higher)
    return gate(scored(candidate, higher=higher), against, ROWS, run)


@pytest.mark.parametrize(
    ("floor", "candidate", "higher", "passed"),
    [
        (0.52, 0.52, True, True),  # accuracy >= min (row 54)
        (0.52, 0.5199, True, False),
        (1.0, 1.3, True, True),  # Sharpe >= min
        (0.2, 0.2, False, True),  # drawdown <= max
        (0.2, 0.21, False, False),
        (0.90, 0.90, True, True),  # AUC >= 0.90 (row 55)
        (0.90, 0.8999, True, False),
        (-0.5, -0.4, True, True),
    ],
)
def test_floor(floor, candidate, higher, passed):
    for champion in (None, 0.99):  # an absolute gate compares with nobody
        assert passes(Floor(floor), candidate, champion, higher=higher).passed is passed


@pytest.mark.parametrize(
    ("candidate", "champion", "passed", "reason"),
    [
        (0.9201, 0.91, True, "better by"),  # promote if AUC > current + 0.01 (row 56)
        (0.915, 0.91, False, "improvement 0.0050 below threshold 0.01"),
        (0.91, 0.91, False, "below threshold"),
        (0.88, 0.91, False, "worse by 0.0300"),  # keep if worse by more than 0.02
    ],
)
def test_min_lift_of_row_56(candidate, champion, passed, reason):
    verdict = passes(MinLift(0.01, triggered_only=True), candidate, champion)
    assert verdict.passed is passed
    assert reason in verdict.reason
    assert verdict.numbers["lift"] == pytest.approx(candidate - champion)


@pytest.mark.parametrize(
    ("strategy", "passed"), [("triggered", False), ("scheduled", True), ("manual", True)]
)
def test_min_lift_is_asked_of_triggered_runs_alone(strategy, passed):
    verdict = passes(MinLift(0.01, triggered_only=True), 0.90, 0.91, run=replace(RUN, strategy=strategy))
    assert verdict.passed is passed
    assert passes(MinLift(0.01), 0.90, 0.91, run=replace(RUN, strategy=strategy)).passed is False


@pytest.mark.parametrize("lift", [0.005, 0.002])
def test_min_lift_of_row_58_is_strict(lift):
    assert passes(MinLift(lift), 0.8 + lift + 1e-6, 0.8).passed
    assert not passes(MinLift(lift), 0.8 + lift - 1e-6, 0.8).passed
    assert not passes(MinLift(0.25), 0.75, 0.5).passed, "equal to the threshold is not above it"


@pytest.mark.parametrize(
    ("candidate", "champion", "higher", "passed"),
    [
        (0.891, 0.90, True, True),  # new AUC >= 0.99 x current (row 57)
        (0.8909, 0.90, True, False),
        (0.95, 0.90, True, True),
        (1.0, 0.99, False, True),  # an error may be 1/0.99 of the champion's
        (1.0001, 0.99, False, False),
        (-1.0, -1.0, True, True),  # an equal r2 below zero is within any tolerance
        (-1.009, -1.0, True, True),
        (-1.011, -1.0, True, False),
        (-1.0, -1.0, False, True),
        (0.0, 0.0, True, True),
        (0.0, 0.0, False, True),
        (0.001, 0.0, False, False),
    ],
)
def test_relative_to(candidate, champion, higher, passed):
    assert passes(RelativeTo(0.99), candidate, champion, higher=higher).passed is passed


def test_a_share_above_one_demands_an_improvement():
    for champion in (0.5, -0.5):
        assert not passes(RelativeTo(1.1), champion, champion).passed
        assert passes(RelativeTo(1.1), champion + 0.0501, champion).passed


def test_lower_is_better_turns_every_gate_round():
    assert passes(MinLift(0.01), 0.28, 0.30, higher=False).passed
    assert not passes(MinLift(0.01), 0.30, 0.28, higher=False).passed
    assert passes(Floor(0.3), 0.29, None, higher=False).passed


@pytest.mark.parametrize("gate", [NotWorse(), MinLift(0.01), RelativeTo(0.99), Open()])
def test_the_first_model_passes_comparisons(gate):
    """Row 61: there are no current metrics."""
    verdict = gate(scored(0.6), None, ROWS, RUN)
    assert verdict.passed
    assert verdict.reason


@pytest.mark.parametrize("gate", [Floor(0.5), MinLift(0.01), RelativeTo(0.99)])
def test_a_metric_that_cannot_be_computed_proves_nothing(gate):
    verdict = gate(scored(None), scored(0.9), ROWS, RUN)
    assert not verdict.passed
    assert "cannot be computed" in verdict.reason
    if not isinstance(gate, Floor):
        assert not gate(scored(0.9), scored(None), ROWS, RUN).passed


def test_verdicts_are_named_and_plain():
    for gate in (Floor(0.5), NotWorse(), MinLift(0.01), RelativeTo(), Open()):
        verdict = gate(scored(0.9), scored(0.8, 0.2), ROWS, RUN)
        assert verdict.gate == type(gate).__name__
        assert type(verdict.passed) is bool
        assert all(isinstance(v, (float, int, type(None))) for v in verdict.numbers.values())


@pytest.mark.parametrize(
    "make",
    [
        *(lambda v=v: Floor(v) for v in ("0.9", None, math.nan, math.inf, True)),
        *(lambda v=v: MinLift(v) for v in ("0.01", None, math.nan, True)),
        *(lambda v=v: RelativeTo(v) for v in ("0.99", None, math.nan, 0, -1, True)),
        *(lambda v=v: NotWorse(v) for v in ("0.05", None, math.nan, 0, 0.5, 1, -0.1, True)),
    ],
)
def test_wrong_values_are_refused(make):
    with pytest.raises(DeclarationError, match=r"value=|lift=|share=|alpha="):
        make()

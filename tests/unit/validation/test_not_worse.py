"""NotWorse and noise: identical models pass, worse ones fail, and chance fails about alpha of equal ones."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from rekindle.records import Run, Scores
from rekindle.validation.gates import SHORT_WINDOW, NotWorse

RUN = Run("run-1", "churn", "abc", "triggered", "", "policy", 3, 9, datetime(2026, 1, 1, tzinfo=UTC),
          metadata={"window_batches": 40.0})  # fmt: skip


def judged(candidate, champion, gate=None, batches=40.0):
    first, second = (
        Scores("m", float(v.mean()), v, None, True) for v in map(np.asarray, (candidate, champion))
    )
    return (gate or NotWorse())(
        first, second, [0] * len(first.losses), replace(RUN, metadata={"window_batches": batches})
    )


def errors(rate, rows, rng):
    return (rng.random(rows) < rate).astype(float)


def test_identical_models_pass():
    losses = errors(0.2, 300, np.random.default_rng(0))
    verdict = judged(losses, losses)
    assert verdict.passed
    assert verdict.reason.endswith("not worse")


def test_a_clearly_worse_candidate_fails_with_its_numbers():
    rng = np.random.default_rng(1)
    verdict = judged(errors(0.4, 500, rng), errors(0.2, 500, rng))
    assert not verdict.passed
    assert "significantly worse" in verdict.reason
    assert verdict.numbers["p_worse"] < 1e-6
    assert verdict.numbers["candidate_loss"] > verdict.numbers["champion_loss"]
    assert judged(errors(0.2, 500, rng), errors(0.4, 500, rng)).passed


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_equal_models_fail_about_alpha_of_the_time(alpha):
    """2,000 pairs of equal models; four deviations of the binomial on either side."""
    rng = np.random.default_rng(7)
    trials, rows = 2000, 200
    failed = sum(
        not judged(errors(0.3, rows, rng), errors(0.3, rows, rng), NotWorse(alpha)).passed
        for _ in range(trials)
    )
    band = 4 * math.sqrt(alpha * (1 - alpha) / trials)
    assert alpha - band < failed / trials < alpha + band


def test_it_has_the_power_that_pairing_gives():
    """Differences on the same rows: a candidate worse on 3 of 100 rows, and better on none, is found on 300 rows."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        champion = errors(0.3, 300, rng)
        candidate = np.where(rng.random(300) < 0.03, 1.0, champion)
        found += not judged(candidate, champion).passed
    assert found > 160


@pytest.mark.parametrize(
    ("batches", "passed"), [(4.0, False), (SHORT_WINDOW - 0.1, False), (SHORT_WINDOW, True), (40.0, True)]
)
def test_candidates_of_short_windows_must_be_better(batches, passed):
    champion = errors(0.2, 300, np.random.default_rng(5))
    worse = champion.copy()
    worse[np.flatnonzero(champion == 0)[0]] = 1.0  # by one row: no significance
    assert judged(worse, champion, batches=batches).passed is passed
    assert judged(champion, champion, batches=batches).passed is passed, "equal is not better"
    assert judged(champion, worse, batches=batches).passed


def test_a_run_of_unknown_window_is_judged_by_significance():
    losses = errors(0.2, 300, np.random.default_rng(5))
    assert judged(losses, losses, batches=None).passed


def test_one_row_proves_nothing_either_way():
    assert judged([0.0], [1.0]).passed
    assert judged([1.0], [0.0]).passed

"""Which batches judge a candidate: never one the champion has seen, never the rows needed to fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.validation.holdout import judging_batches

SIZES = st.lists(st.integers(0, 400), min_size=1, max_size=15)


def choose(sizes, seen=None, hidden=()):
    """`sizes` labelled rows per batch; batches in `hidden` have no label yet."""
    batch = np.repeat(np.arange(len(sizes)), sizes)
    return judging_batches(batch, ~np.isin(batch, list(hidden)), seen)


@given(SIZES, st.none() | st.integers(-1, 15), st.sets(st.integers(0, 15)))
def test_its_promises(sizes, seen, hidden):
    chosen = choose(sizes, seen, hidden)
    counts = {k: n for k, n in enumerate(sizes) if n and k not in hidden}
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(counts), "only labelled batches"
    assert len(chosen) <= 4
    assert all(seen is None or k > seen for k in chosen), "never one the champion has seen"
    assert 2 * sum(counts[k] for k in chosen) <= sum(counts.values()), "half the rows are left to fit on"
    if chosen:
        older = [k for k in counts if k < chosen[0]]
        assert older, "the twin has something older to learn from"
        assert chosen[-1] == max(counts), "the newest one judges"
        assert set(range(chosen[0], chosen[-1] + 1)) & set(counts) == set(chosen), (
            "no batch between is left out"
        )
        rows_without_the_oldest = sum(counts[k] for k in chosen[1:])
        assert rows_without_the_oldest < 200, "no more batches than are needed"


@pytest.mark.parametrize(
    ("sizes", "seen", "chosen"),
    [
        ([300, 300, 300], None, (2,)),  # one large batch is enough
        ([300, 300, 300], 0, (2,)),
        ([300, 300, 300], 1, (2,)),
        ([300, 300, 300], 2, ()),  # the champion has seen all
        ([50] * 10, None, (6, 7, 8, 9)),  # small ones are joined, four at most
        ([50] * 10, 7, (8, 9)),  # but not with what the champion knows
        ([50] * 10, 9, ()),
        ([100] * 10, None, (8, 9)),
        ([300], None, ()),  # nothing would be left to fit on
        ([100, 300], None, ()),
        ([300, 300], None, (1,)),
        ([50, 50, 50], None, (2,)),  # a second one would take more than half
        ([], None, ()),
    ],
)
def test_cases_by_hand(sizes, seen, chosen):
    assert choose(sizes, seen) == chosen


def test_unlabelled_batches_judge_nobody():
    assert choose([300, 300, 300, 300], hidden={3}) == (2,)
    assert choose([300, 300, 300, 300], seen=2, hidden={3}) == ()
    assert judging_batches(np.array([0, 1]), np.array([False, False]), None) == ()


def test_gaps_between_batches_do_not_matter():
    batch = np.repeat([3, 10, 40], [300, 300, 300])
    assert judging_batches(batch, np.ones(900, dtype=bool), 10) == (40,)

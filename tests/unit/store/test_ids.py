"""Ids: sorted by time, never the same (the seeds' second-resolution job ids collide, checklist row 89)."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.store import new_id
from rekindle.store.ids import _Sequence

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _many(count: int) -> list[str]:
    return [new_id("run-", NOON) for _ in range(count)]


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_eight_threads_and_two_processes_never_collide_while_the_clock_stands() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool, ThreadPoolExecutor(8) as threads:
        elsewhere = pool.apply_async(_many, (50_000,))
        parts = list(threads.map(_many, [25_000] * 8))
        other = elsewhere.get(60)
    assert all(part == sorted(part) for part in [*parts, other])
    ids = [name for part in parts for name in part] + other
    assert len(set(ids)) == 250_000
    assert {len(name) for name in ids} == {30}


@given(st.lists(st.integers(0, 2**48), min_size=2))
def test_ids_of_one_process_grow_whatever_the_clock_does(moments: list[int]) -> None:
    sequence = _Sequence()
    numbers = [sequence.after(moment) for moment in moments]
    assert numbers == sorted(set(numbers))


def test_ids_of_two_processes_sort_by_time() -> None:
    first, second = _Sequence(), _Sequence()
    assert first.after(5) < second.after(6) < first.after(7)


def test_ids_sort_from_the_old_streams_to_the_last_year_python_knows() -> None:
    years = (1900, 1950, 1970, 2026, 9999)
    milliseconds = [(datetime(year, 1, 1, tzinfo=UTC) - datetime(1900, 1, 1, tzinfo=UTC)) for year in years]
    assert milliseconds[-1] // timedelta(milliseconds=1) < 2**48


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_the_parents_sequence() -> None:
    sequence = _Sequence()
    sequence.after(5)
    before = sequence.tail
    sequence.restart()
    assert sequence.tail - before not in range(2**33)
    assert sequence.after(5) >> 80 == 6  # still behind everything the parent made


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        new_id("run-", NAIVE)

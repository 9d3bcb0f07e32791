"""Window rules: which stretch of time trains."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.data.window import Full, Rolling, SinceLastRetrain, Weighted, age_weights
from rekindle.errors import DeclarationError
from rekindle.records import Extent, History, Span

END = datetime(2026, 3, 1, tzinfo=UTC)


def on_index(**changes: Any) -> History:
    facts = {"extent": Extent(0, 99, 100), "span": Span(9, 90, 100), "since": None, "last_end": None,
             "starts": list(range(0, 100, 10))}  # fmt: skip
    return History(**{**facts, **changes})


def on_dates() -> History:
    starts = [END - timedelta(days=k) for k in range(10, 0, -1)]
    return History(Extent(starts[0], END, 100), Span(9, starts[-1], END), None, None, starts)


def test_full_and_weighted_take_everything_up_to_the_newest_batch() -> None:
    assert (Full()(on_index()).start, Full()(on_index()).end, Full()(on_index()).half_life) == (
        None,
        100,
        None,
    )
    weighted = Weighted(3)(on_index())
    assert (weighted.start, weighted.end, weighted.half_life) == (None, 100, 3)


def test_rolling_by_span_units_or_batches() -> None:
    assert Rolling("3d")(on_dates()).start == END - timedelta(days=3)
    assert Rolling(25)(on_index()).start == 75
    assert Rolling(batches=2)(on_index()).start == 80
    assert Rolling(batches=99)(on_index()).start == 0


def test_rolling_further_back_than_the_calendar_is_everything() -> None:
    assert Rolling(timedelta(days=900_000))(on_dates()).start is None


def test_rolling_in_the_wrong_unit_is_told_so() -> None:
    with pytest.raises(DeclarationError, match="index units or batches="):
        Rolling("3d")(on_index())
    with pytest.raises(DeclarationError, match="on dates a span"):
        Rolling(30)(on_dates())


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Rolling(),
        lambda: Rolling("3d", batches=2),
        lambda: Rolling(batches=0),
        lambda: Rolling(batches=2.5),  # type: ignore[arg-type]
        lambda: Rolling("soon"),
        lambda: Rolling(0),
        lambda: Weighted(0),
        lambda: Weighted(float("nan")),
        lambda: Weighted(float("inf")),
        lambda: Weighted("6"),  # type: ignore[arg-type]
        lambda: SinceLastRetrain(0),
        lambda: SinceLastRetrain("4"),  # type: ignore[arg-type]
    ],
)
def test_wrong_windows_are_refused_where_they_are_declared(declare: Any) -> None:
    with pytest.raises(DeclarationError, match="cannot be used"):
        declare()


def test_since_last_retrain() -> None:
    rule = SinceLastRetrain(minimum=3)
    assert rule(on_index()).start is None
    assert rule(on_index(last_end=40)).start == 40
    assert rule(on_index(last_end=95)).start == 70  # fewer than 3 batches: from further back
    assert rule(on_index(last_end=40, since=20)).start == 20


@given(st.integers(1, 12), st.integers(0, 100), st.one_of(st.none(), st.integers(0, 100)))
def test_no_window_looks_past_the_newest_complete_batch(n: int, last_end: int, since: int | None) -> None:
    for rule in (Full(), Weighted(n), Rolling(n), Rolling(batches=n), SinceLastRetrain(n)):
        window = rule(on_index(last_end=last_end, since=since))
        assert window.end == 100
        assert window.start is None or window.start < 100


def test_weights_halve_with_age() -> None:
    assert age_weights(np.array([0.0, 6.0, 12.0]), 6).tolist() == [1.0, 0.5, 0.25]
    assert age_weights(np.array([0.0, 6.0]), None).tolist() == [1.0, 1.0]

"""The present and the cadence of a loop; batches keep their numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rekindle.clock import ManualClock
from rekindle.data.cadence import Edges, Period
from rekindle.data.periods import cadence_of, default_every, every_text, present
from rekindle.errors import DeclarationError, NotEnoughData, SchemaError
from rekindle.records import Extent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATES = Extent(NOW - timedelta(days=40), NOW, 100)
INDEX = Extent(0, 479, 480)
EMPTY = Extent(None, None, 0)
DAY = timedelta(days=1)


def test_the_present_is_the_clock_or_one_past_the_newest_index() -> None:
    clock = ManualClock(NOW)
    assert present(DATES, clock) == NOW
    assert present(INDEX, clock) == 480
    assert present(EMPTY, clock) == NOW


def test_the_default_is_a_day_or_a_48th_of_the_first_index_history() -> None:
    assert default_every(DATES) == DAY
    assert default_every(INDEX) == 10
    assert default_every(Extent(1000, 1000 + 4799, 4800)) == 100
    assert default_every(Extent(0, 3, 4)) == 1


def test_a_new_loop_is_laid_from_its_first_row() -> None:
    assert cadence_of(None, None, None, INDEX) == Period(10, 0)
    assert cadence_of(DAY, None, None, DATES) == Period(DAY, datetime(2026, 1, 20, tzinfo=UTC))
    with pytest.raises(NotEnoughData, match="no rows yet"):
        cadence_of(None, None, None, EMPTY)


@pytest.mark.parametrize("every", [DAY, timedelta(seconds=1.5), timedelta(microseconds=1), 7])
def test_a_stored_cadence_is_read_back(every: timedelta | int) -> None:
    origin, extent = (0, INDEX) if isinstance(every, int) else (NOW, DATES)
    assert cadence_of(every, every_text(every), origin, extent) == Period(every, origin)
    assert cadence_of(None, every_text(every), origin, extent) == Period(every, origin)


@pytest.mark.parametrize("changed", [timedelta(hours=2), timedelta(days=1, microseconds=1), 3])
def test_every_cannot_change_once_batches_are_numbered(changed: timedelta | int) -> None:
    with pytest.raises(DeclarationError, match=r"every=.*numbered by 86400s; keep that, or rename"):
        cadence_of(changed, "86400s", NOW, DATES)


def test_given_borders_cannot_replace_a_cadence_nor_the_reverse() -> None:
    edges = Edges((0, 10, 20))
    assert cadence_of(edges, None, None, INDEX) is edges
    assert cadence_of(edges, "2 given batches", 0, INDEX) is edges
    with pytest.raises(DeclarationError, match="numbered by 10"):
        cadence_of(edges, "10", 0, INDEX)
    with pytest.raises(DeclarationError, match="numbered by 2 given batches"):
        cadence_of(10, "2 given batches", 0, INDEX)


def test_an_index_without_rows_tells_no_time() -> None:
    with pytest.raises(NotEnoughData, match="no rows any more"):
        cadence_of(10, "10", 0, EMPTY)
    with pytest.raises(NotEnoughData, match="no rows any more"):
        cadence_of(Edges((0, 10)), None, None, EMPTY)
    assert cadence_of(DAY, "86400s", NOW, EMPTY) == Period(DAY, NOW)


def test_a_time_column_that_changes_its_kind_is_told_so() -> None:
    with pytest.raises(SchemaError, match="held an index and now holds dates"):
        cadence_of(10, "10", 0, DATES)
    with pytest.raises(SchemaError, match="held dates and now holds an index"):
        cadence_of(DAY, "86400s", NOW, INDEX)

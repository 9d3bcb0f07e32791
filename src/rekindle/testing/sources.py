"""The conformance suite of sources, run on all of rekindle's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.declaration import declare
from rekindle.errors import SourceError
from rekindle.records import Window

if TYPE_CHECKING:
    from rekindle.protocols import Source
    from rekindle.records import Moment

__all__ = ["SourceSuite", "sample_rows"]

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = 48


class SourceSuite:
    """Subclass it, say how to `make` a source of given rows, and pytest runs every promise of the protocol.

    `rows` (see `sample_rows`) are in no order; their time column is "t", the label "label", the time it became known
    "known", the id "id"; "x" and "colour" are features. `index` turns the times into whole numbers. `broken` may
    return a source whose rows cannot be read.

        class TestMySource(SourceSuite):
            def make(self, rows):
                write_into_my_database(rows)
                return MySource(time="t", label="label", label_time="known", id="id")
    """

    index = False

    def make(self, rows: pd.DataFrame) -> Source:
        """A source that holds these rows."""
        raise NotImplementedError(f"{type(self).__name__} must say how to make its source")

    def broken(self) -> Source | None:
        """A source whose rows cannot be read; None when there is no such thing."""
        return None

    def test_it_says_its_columns(self) -> None:
        source = self._made()
        assert (source.time, source.label) == ("t", "label")
        assert source.label_time in (None, "known")
        assert source.id in (None, "id")
        held = {"t", "label", "x", "colour", *filter(None, (source.label_time, source.id))}
        assert held <= set(source.read(Window(None, None)).columns)

    def test_extent_is_oldest_newest_and_count(self) -> None:
        extent = self._made().extent()
        assert (extent.first, extent.last, extent.rows) == (self._moment(0), self._moment(ROWS - 1), ROWS)
        for moment in (extent.first, extent.last):
            assert type(moment) is int if self.index else _is_utc(moment)

    def test_all_rows_come_in_time_order(self) -> None:
        times = self._made().read(Window(None, None))["t"]
        assert len(times) == ROWS
        assert times.is_monotonic_increasing
        assert times.notna().all()
        if self.index:
            assert times.dtype.kind in "iu"
        else:
            assert isinstance(times.dtype, pd.DatetimeTZDtype)
            assert str(times.dtype.tz) == "UTC"

    def test_no_value_is_changed(self) -> None:
        read = self._made().read(Window(None, None))
        expected = sample_rows(index=self.index).sort_values("t", ignore_index=True)
        np.testing.assert_allclose(read["x"].to_numpy(dtype=float), expected["x"])
        assert read["colour"].tolist() == expected["colour"].tolist()
        known = expected["label"].notna().to_numpy()
        assert read["label"].notna().tolist() == known.tolist()
        np.testing.assert_allclose(
            read["label"].to_numpy(dtype=float, na_value=np.nan)[known], expected["label"][known]
        )

    def test_a_window_begins_with_its_start_and_ends_before_its_end(self) -> None:
        source = self._made()
        for start, end in ((0, ROWS), (0, 1), (5, 9), (ROWS - 1, ROWS), (-10, 3), (ROWS - 2, ROWS + 50)):
            read = source.read(Window(self._moment(start), self._moment(end)))
            inside = [self._moment(k) for k in range(max(start, 0), min(end, ROWS))]
            assert read["t"].tolist() == inside, f"{start} <= t < {end}"

    def test_a_window_may_be_open(self) -> None:
        source = self._made()
        assert len(source.read(Window(self._moment(40), None))) == ROWS - 40
        assert len(source.read(Window(None, self._moment(40)))) == 40

    def test_neighbouring_windows_share_no_row_and_lose_none(self) -> None:
        source = self._made()
        cuts = [None, 7, 8, 30, None]
        ends = [cut if cut is None else self._moment(cut) for cut in cuts]
        parts = [source.read(Window(a, b)) for a, b in pairwise(ends)]
        times = [t for part in parts for t in part["t"]]
        assert times == source.read(Window(None, None))["t"].tolist()

    def test_an_empty_window_has_columns_and_no_rows(self) -> None:
        source = self._made()
        whole = source.read(Window(None, None))
        for start, end in ((5, 5), (9, 5), (ROWS, ROWS + 1), (-5, 0)):
            read = source.read(Window(self._moment(start), self._moment(end)))
            assert len(read) == 0
            assert list(read.columns) == list(whole.columns)

    def test_reading_again_gives_the_same(self) -> None:
        source = self._made()
        first = source.read(Window(None, None))
        kept = first.copy(deep=True)
        first["x"] = 0.0  # what a reader does with its rows is nobody else's business
        pd.testing.assert_frame_equal(source.read(Window(None, None)), kept)

    def test_no_rows_are_no_error(self) -> None:
        rows = sample_rows(index=self.index)
        source = self.make(rows.iloc[:0])
        extent = source.extent()
        assert (extent.first, extent.last, extent.rows) == (None, None, 0)
        assert len(source.read(Window(None, None))) == 0

    def test_it_is_told_as_json_the_same_each_time(self) -> None:
        told = declare(self._made())
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        assert declare(self._made()) == told

    def test_what_cannot_be_read_is_a_source_error(self) -> None:
        source = self.broken()
        if source is None:
            return
        for read in (source.extent, lambda: source.read(Window(None, None))):
            try:
                read()
            except SourceError:
                continue
            raise AssertionError("rows that cannot be read were read")

    def _made(self) -> Source:
        return self.make(sample_rows(index=self.index))

    def _moment(self, place: int) -> Moment:
        return place if self.index else START + place * HOUR


def sample_rows(*, index: bool = False) -> pd.DataFrame:
    """48 rows in no order, one an hour: t, x, colour, label (a quarter not known), known, id."""
    rng = np.random.default_rng(4)
    place = np.arange(ROWS)
    label = np.where(place % 4 == 3, np.nan, (place % 2).astype(float))
    times: Any = place if index else pd.to_datetime([START + k * HOUR for k in place.tolist()]).as_unit("us")
    known: Any = place + 1 if index else times + pd.Timedelta(HOUR)
    rows = pd.DataFrame({"t": times, "x": rng.normal(size=ROWS), "colour": np.where(place % 3, "red", "blue"),
                         "label": label, "known": known, "id": place})  # fmt: skip
    return rows.iloc[rng.permutation(ROWS)].reset_index(drop=True)


def _is_utc(moment: Any) -> bool:
    return isinstance(moment, datetime) and moment.utcoffset() == timedelta(0)

"""The hash of rows depends on what they say, not on who wrote or read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.data.canonical import canonical_hash, canonical_order

CELLS = st.one_of(st.none(), st.text(max_size=3), st.integers(-5, 5))
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.none(), st.floats(width=16)),
        CELLS,
        st.one_of(st.none(), st.booleans()),
    ),
    max_size=12,
)


def frame(drawn: list[tuple[Any, ...]]) -> pd.DataFrame:
    made = pd.DataFrame(drawn, columns=["t", "x", "word", "flag"])
    return made.astype({"t": "int64", "x": "float64", "word": object, "flag": object})


def digest(rows: pd.DataFrame) -> str:
    return canonical_hash(canonical_order(rows, "t"))


@given(ROWS, st.randoms(use_true_random=False))
def test_rows_in_any_order_and_columns_in_any_order(drawn: list[tuple[Any, ...]], random: Any) -> None:
    shuffled = list(drawn)
    random.shuffle(shuffled)
    columns = ["t", "x", "word", "flag"]
    random.shuffle(columns)
    assert digest(frame(drawn)) == digest(frame(shuffled)[columns])


@given(ROWS, ROWS)
def test_other_rows_have_another_hash(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> None:
    said = [[repr(tuple(_plain(c) for c in row)) for row in rows] for rows in (one, other)]
    assert (digest(frame(one)) == digest(frame(other))) == (sorted(said[0]) == sorted(said[1]))


def _plain(cell: Any) -> Any:
    if cell is None or cell != cell:
        return None
    if isinstance(cell, bool):
        return str(cell)
    return str(cell) if isinstance(cell, str) else cell + 0.0 if isinstance(cell, float) else str(cell)


def test_negative_zero_and_every_nan_are_one() -> None:
    odd = np.frombuffer(np.array([0x7FF8000000000001, 0x7FF8000000000002], dtype="<u8").tobytes())
    one = pd.DataFrame({"t": [0, 1, 2], "x": [0.0, np.nan, odd[0]]})
    other = pd.DataFrame({"t": [0, 1, 2], "x": [-0.0, odd[1], -np.nan]})
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pd.Series([1, 2], dtype="int32"), pd.Series([1, 2], dtype="Int64")),
        (pd.Series([1.0, None]), pd.Series([1, None], dtype="Int64")),
        (pd.Series(["a", None], dtype=object), pd.Series(["a", np.nan], dtype="str")),
        (pd.Series(["a", "b"], dtype=object), pd.Series(["a", "b"], dtype="category")),
        (
            pd.to_datetime(pd.Series(["2026-01-01", None]), utc=True).dt.as_unit("ns"),
            pd.to_datetime(pd.Series(["2026-01-01", None]), utc=True).dt.as_unit("us"),
        ),
    ],
)
def test_the_reader_does_not_show(one: pd.Series, other: pd.Series) -> None:
    assert digest(pd.DataFrame({"t": [0, 1], "v": one})) == digest(pd.DataFrame({"t": [0, 1], "v": other}))


@pytest.mark.parametrize(
    ("one", "other"),
    [(["ab", "c"], ["a", "bc"]), ([None, ""], ["", None]), (["None"], [None]), (["nan"], [None])],
)
def test_text_is_not_run_together(one: list[Any], other: list[Any]) -> None:
    times = range(len(one))
    assert digest(pd.DataFrame({"t": times, "v": pd.Series(one, dtype=object)})) != digest(
        pd.DataFrame({"t": times, "v": pd.Series(other, dtype=object)})
    )


def test_a_column_name_and_a_row_more_count() -> None:
    rows = pd.DataFrame({"t": [0, 1], "v": [1.0, 2.0]})
    assert digest(rows) != digest(rows.rename(columns={"v": "w"}))
    assert digest(rows) != digest(rows.iloc[:1])


def test_ties_are_sorted_by_the_other_columns() -> None:
    rows = pd.DataFrame({"t": [1, 0, 1, 1], "b": [2.0, 9.0, None, 1.0], "a": ["x", "x", "x", "w"]})
    ordered = canonical_order(rows, "t")
    assert ordered["t"].tolist() == [0, 1, 1, 1]
    assert ordered["a"].tolist() == ["x", "w", "x", "x"]
    assert np.isnan(ordered["b"].iloc[2])
    assert rows["t"].tolist() == [1, 0, 1, 1]


def test_half_a_surrogate_pair_has_a_hash() -> None:
    assert digest(pd.DataFrame({"t": [0, 0], "v": ["\ud800", "a"]}))

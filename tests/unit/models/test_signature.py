"""Rows of any shape become what the model takes: the same offline and served."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import SchemaError
from rekindle.models.signature import Signature
from rekindle.records import Column

SIGNATURE = Signature((Column("x", "number"), Column("k", "category", ("b", "a")), Column("yes", "boolean")))
ROW = {"x": 1.5, "k": "a", "yes": True}
EXPECTED = pd.DataFrame(
    {
        "x": [1.5],
        "k": pd.Categorical(["a"], categories=pd.Index(["b", "a"], dtype=object)),
        "yes": np.array([1.0]),
    }
)


@pytest.mark.parametrize(
    "rows",
    [
        ROW,
        [ROW],
        (ROW,),
        pd.DataFrame([ROW]),
        pd.Series(ROW),
        pd.DataFrame([ROW])[["yes", "k", "x"]],
        pd.DataFrame([{**ROW, "more": 1}]),
        {**ROW, "more": 1},
        {"yes": "1", "x": "1.5", "k": "a"},
        np.array([[1.5, "a", True]], dtype=object),
        np.array([1.5, "a", 1], dtype=object),
        [[1.5, "a", True]],
        pd.DataFrame([ROW], index=[99]),
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_all_shapes_come_to_the_same(rows):
    pd.testing.assert_frame_equal(SIGNATURE.prepare(rows).reset_index(drop=True), EXPECTED)


def test_other_tables_go_by_name_not_by_place():
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"yes": [True], "more": [0], "k": ["a"], "x": [1.5]})
    pd.testing.assert_frame_equal(SIGNATURE.prepare(table), EXPECTED)
    with pytest.raises(SchemaError, match="lack the feature 'k'"):
        SIGNATURE.prepare(table.drop("k"))


def test_what_only_looks_like_a_table_is_refused():
    class Odd:
        columns = ("x", "k", "yes")

    with pytest.raises(SchemaError, match="rows of type Odd cannot be read"):
        SIGNATURE.prepare(Odd())


@pytest.mark.parametrize(
    "rows", [{"x": 1, "k": "a"}, [{"x": 1, "yes": 0}], pd.DataFrame({"x": [1], "k": ["a"]}), {}]
)
def test_a_missing_feature_is_named(rows):
    with pytest.raises(SchemaError, match=r"lack the feature '(k|yes|x)'; this model takes x, k, yes"):
        SIGNATURE.prepare(rows)


def test_what_is_missing_in_some_rows_is_a_missing_value():
    prepared = SIGNATURE.prepare([ROW, {"x": 2.0}, {"k": None, "x": None, "yes": None}])
    assert prepared["x"].tolist()[:2] == [1.5, 2.0]
    assert prepared.isna().to_numpy().tolist() == [[False] * 3, [False, True, True], [True, True, True]]


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_every_kind_of_nothing_is_nan(nothing):
    prepared = SIGNATURE.prepare(
        pd.DataFrame({"x": [nothing], "k": [nothing], "yes": [nothing]}, dtype=object)
    )
    assert prepared.isna().all(axis=None)
    assert prepared["x"].dtype == prepared["yes"].dtype == np.float64


def test_an_unknown_category_reads_as_missing():
    prepared = SIGNATURE.prepare([ROW, {**ROW, "k": "never seen"}])
    assert prepared["k"].tolist()[0] == "a"
    assert prepared["k"].isna().tolist() == [False, True]
    assert list(prepared["k"].cat.categories) == ["b", "a"], "levels as at training, in their order"


def test_categories_that_are_numbers_in_the_file_are_text():
    signature = Signature((Column("k", "category", ("1", "2")),))
    assert signature.prepare([{"k": 1}, {"k": "2"}])["k"].tolist() == ["1", "2"]


@pytest.mark.parametrize("value", ["", "abc", "1,5", [1], {"a": 1}])
def test_text_where_a_number_was_is_an_error(value):
    with pytest.raises(SchemaError, match="feature 'x' takes numbers"):
        SIGNATURE.prepare([{**ROW, "x": value}])


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 4)), np.zeros((2, 2)), np.zeros(4), 5, "text", np.zeros((2, 3, 3)), [1, 2]]
)
def test_a_wrong_number_of_columns_is_an_error(rows):
    with pytest.raises(SchemaError, match="this model takes 3: x, k, yes"):
        SIGNATURE.prepare(rows)


def test_a_feature_named_twice_is_an_error():
    rows = pd.DataFrame([[1.0, 2.0, "a", True]], columns=["x", "x", "k", "yes"])
    with pytest.raises(SchemaError, match=r"hold the feature 'x' twice"):
        SIGNATURE.prepare(rows)


@pytest.mark.parametrize("none", [[], (), pd.DataFrame(columns=["x", "k", "yes"]), np.empty((0, 3))])
def test_no_rows_are_no_error(none):
    prepared = SIGNATURE.prepare(none)
    assert prepared.shape == (0, 3)
    assert prepared["x"].dtype == np.float64


def test_the_callers_rows_are_not_touched():
    rows = pd.DataFrame([ROW])
    before = rows.copy(deep=True)
    prepared = SIGNATURE.prepare(rows)
    prepared["x"] = 7.0
    pd.testing.assert_frame_equal(rows, before)


def test_text_is_left_to_adopted_models():
    prepared = Signature((Column("k", "text"),)).prepare([{"k": "anything"}])
    assert prepared["k"].tolist() == ["anything"]
    assert prepared["k"].dtype == object


@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.sampled_from(["number", "category", "text", "boolean"])), max_size=6
    )
)
def test_json_round_trip(columns):
    signature = Signature(tuple(Column(n, k, ("b", "a") if k == "category" else ()) for n, k in columns))
    assert Signature.from_json(signature.to_json()) == signature


@given(st.lists(st.one_of(st.floats(), st.integers(-(2**53), 2**53), st.booleans(), st.none()), max_size=20))
def test_numbers_survive_as_float64(values):
    prepared = Signature((Column("x", "number"),)).prepare([{"x": v} for v in values] or np.empty((0, 1)))
    expected = np.array([np.nan if v is None else float(v) for v in values])
    np.testing.assert_array_equal(prepared["x"].to_numpy(), expected)

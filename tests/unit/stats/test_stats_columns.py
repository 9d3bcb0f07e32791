"""Labels and predictions of every type as plain NumPy; classes are never guessed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rekindle.stats.columns import as_array, classes_of, decided, labelled

TABLE = np.array([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]])


@pytest.mark.parametrize(
    "values",
    [
        [1.0, None, 0.0],
        np.array([1, None, 0], dtype=object),
        pd.Series([1, None, 0], dtype="Int64"),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series(["a", None, "b"]),
        pd.Series(["a", None, "b"], dtype="category"),
        pd.Series([1, pd.NA, 0], dtype=object),
        np.array(["2026-01-01", "NaT", "2026-01-01"], dtype="datetime64[s]"),
    ],
)
def test_missing_labels_of_every_type(values):
    assert labelled(values).tolist() == [True, False, True]


def test_nullable_numbers_become_plain_ones():
    assert as_array(pd.Series([1, None], dtype="Int64")).dtype == np.float64
    assert as_array(pd.Series([1, 2], dtype="Int64")).dtype == np.int64
    assert as_array(np.ones((3, 1))).shape == (3,)


def test_classes_are_known_or_none():
    assert classes_of(TABLE, [5, 6]) is None
    assert classes_of(TABLE, [5, 6, 7, np.nan]).tolist() == [5, 6, 7]
    assert classes_of(TABLE, [5, 6], classes=("x", "y", "z")).tolist() == ["x", "y", "z"]
    assert classes_of(pd.DataFrame(TABLE, columns=[5, 6, 7]), [5]).tolist() == [5, 6, 7]


def test_a_wrong_number_of_classes_is_refused():
    with pytest.raises(ValueError, match="3 columns of probabilities and 2 classes"):
        decided(TABLE, classes=["a", "b"])

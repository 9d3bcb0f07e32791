"""Categories at prediction time: unknown ones read as missing, without a warning, and 7.0 is 7."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import pytest

from rekindle.models.signature import Signature
from rekindle.records import Column

SIGNATURE = Signature((Column("code", "category", ("7", "8", "red")),))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("7", "7"),
        (7, "7"),
        (7.0, "7"),
        ("red", "red"),
        ("violet", None),
        (7.5, None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_values_become_known_levels_or_missing(value: Any, read: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        column = SIGNATURE.prepare({"code": value})["code"]
    assert list(column.cat.categories) == ["7", "8", "red"]
    assert (None if pd.isna(column[0]) else column[0]) == read


def test_a_column_of_strangers() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        column = SIGNATURE.prepare(pd.DataFrame({"code": ["a", "b", "7"]}))["code"]
    assert column.isna().tolist() == [True, True, False]

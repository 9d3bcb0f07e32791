"""What rows must look like: learned, checked, converted; bad rows leave with a reason."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rekindle.data.contract import Contract
from rekindle.errors import NotEnoughData, SchemaError

SOURCE: Any = SimpleNamespace(time="t", label="y", label_time=None, id=None)
KEYED: Any = SimpleNamespace(time="t", label="y", label_time=None, id="key", reserved=("t", "y", "key"))


def table(rows: int = 100, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"t": range(rows), "y": [0, 1] * (rows // 2), "x": np.arange(rows) / 7, **columns})


def kinds(contract: Contract) -> dict[str, str]:
    return {c.name: c.kind for c in contract.features}


def reasons(contract: Contract, rows: pd.DataFrame, source: Any = SOURCE) -> list[str]:
    checked = contract.check(rows, source)
    assert len(checked.rows) + len(checked.quarantined) == len(rows)
    return list(checked.quarantined["reason"])


def test_kinds_are_worked_out() -> None:
    words = ["red", "green", "red", "blue"] * 25
    contract = Contract.learn(
        table(
            whole=range(100),
            truth=[True, False] * 50,
            holes=[True, None] * 50,
            word=words,
            coded=pd.Categorical([1, 2] * 50),
            digits=[str(v) for v in range(100)],
            dirty=["oops", *(str(v) for v in range(99))],
            money=[Decimal("1.5")] * 100,
            nullable=pd.array([1, None] * 50, dtype="Int64"),
        ),
        SOURCE,
    )
    assert kinds(contract) == {
        "x": "number", "whole": "number", "truth": "boolean", "holes": "boolean", "word": "category",
        "coded": "category", "digits": "number", "dirty": "number", "money": "number", "nullable": "number",
    }  # fmt: skip
    assert contract.names == tuple(kinds(contract))
    assert contract.features[4].levels == ("red", "green", "blue") or contract.features[4].levels[0] == "red"


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ([None] * 100, "no value in any row"),
        ([np.nan] * 100, "no value in any row"),
        (pd.date_range("2026-01-01", periods=100), "a date"),
        ([date(2026, 1, 1)] * 100, "a date"),
        ([datetime(2026, 1, 1, tzinfo=UTC), None] * 50, "a date"),
        (pd.to_timedelta(range(100), unit="h"), "a date"),
        ([f"user-{v}" for v in range(100)], "an identifier"),
        ([[1, 2]] * 100, "a nested"),
        ([{"a": 1}] * 100, "a nested"),
        ([b"\x00"] * 100, "binary"),
        ([1j] * 100, "complex"),
    ],
)
def test_what_can_be_no_feature_is_left_out_with_the_reason(column: Any, why: str) -> None:
    contract = Contract.learn(table(odd=column), SOURCE)
    assert contract.names == ("x",)
    assert len(contract.left_out) == 1
    assert contract.left_out[0].startswith("odd (")
    assert why in contract.left_out[0]


def test_a_long_text_column_of_mostly_different_values_is_an_identifier() -> None:
    ids = [f"{v % 1500}" + "x" for v in range(2000)]
    contract = Contract.learn(table(2000, who=ids), SOURCE)
    assert "who" not in contract.names


def test_only_named_features_are_used() -> None:
    contract = Contract.learn(table(z=1.0), SOURCE, features=("z",))
    assert contract.names == ("z",)
    with pytest.raises(SchemaError, match=r"'zz', which the source does not have. Did you mean 'z'"):
        Contract.learn(table(z=1.0), SOURCE, features=("zz",))


def test_no_feature_left_is_told_with_the_reasons() -> None:
    with pytest.raises(NotEnoughData, match=r"x \(no value in any row\)"):
        Contract.learn(table(x=None), SOURCE)


@pytest.mark.parametrize(
    ("label", "task", "kind"),
    [
        ([0, 1] * 50, "classification", "whole"),
        ([0.0, 1.0] * 50, "classification", "whole"),
        ([0.0, None] * 50, "classification", "whole"),
        (["0", "1"] * 50, "classification", "whole"),
        ([True, False] * 50, "classification", "boolean"),
        ([True, None] * 50, "classification", "boolean"),
        (["no", "yes"] * 50, "classification", "text"),
        (["1", "yes"] * 50, "classification", "text"),
        (list(range(100)), "regression", "number"),
        ([0.5, 1.5] * 50, "regression", "number"),
        (["yes", *["0", "1"] * 49, "1"], "classification", "whole"),
    ],
)
def test_task_and_kind_of_the_label(label: list[Any], task: str, kind: str) -> None:
    contract = Contract.learn(table().assign(y=label), SOURCE)
    assert (contract.task, contract.label_kind) == (task, kind)


def test_the_trainers_word_decides_the_task() -> None:
    many = table().assign(y=range(100))
    assert Contract.learn(many, SOURCE, task="classification").label_kind == "whole"
    assert Contract.learn(table(), SOURCE, task="regression").label_kind == "number"
    halves = table().assign(y=[0.5, 1.5] * 50)
    assert Contract.learn(halves, SOURCE, task="classification").label_kind == "text"


def test_labels_missing_for_everything() -> None:
    unlabelled = table().assign(y=None)
    with pytest.raises(NotEnoughData, match=r"no row has a known label in 'y'; wait for labels"):
        Contract.learn(unlabelled, SOURCE)
    assert Contract.learn(unlabelled, SOURCE, task="classification").label_kind == ""


def test_a_label_that_is_a_date_is_refused() -> None:
    with pytest.raises(SchemaError, match="the label 'y' is a date"):
        Contract.learn(table().assign(y=pd.Timestamp("2026-01-01")), SOURCE)


def test_a_column_gone() -> None:
    contract = Contract.learn(table(z=1.0), SOURCE)
    with pytest.raises(SchemaError, match=r"column 'z' is gone from the source; bring it back.*features="):
        contract.check(table(), SOURCE)


def test_a_column_that_became_a_date_is_not_called_gone() -> None:
    contract = Contract.learn(table(z=1.0), SOURCE)
    dated: Any = SimpleNamespace(**vars(SOURCE), left_out=("z (a date)",))
    with pytest.raises(SchemaError, match=r"column 'z' is no feature any more: z \(a date\); bring it back"):
        contract.check(table(), dated)


def test_a_new_column_is_ignored() -> None:
    contract = Contract.learn(table(), SOURCE)
    assert reasons(contract, table(new=1)) == []


def test_a_string_where_a_number_was() -> None:
    contract = Contract.learn(table(), SOURCE)
    rows = table().assign(x=["n/a", "2.5", *["1"] * 98])
    checked = contract.check(rows, SOURCE)
    assert list(checked.quarantined["reason"]) == ["'x' holds text where a number was, e.g. 'n/a'"]
    assert checked.quarantined["x"].tolist() == ["n/a"]
    assert checked.rows["x"].dtype == np.float64
    assert checked.rows["x"].iloc[0] == 2.5


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.inf, "infinite"),
        (-np.inf, "infinite"),
        ("inf", "infinite"),
        (10**400, "infinite"),
        (b"1", "something else"),
        (pd.Timestamp("2026-01-01"), "something else"),
        ([1], "something else"),
        (1j, "something else"),
    ],
)
def test_what_is_no_finite_number_is_quarantined(value: Any, said: str) -> None:
    contract = Contract.learn(table(), SOURCE)
    cells: list[Any] = [1.0] * 100
    cells[7] = value
    found = reasons(contract, table().assign(x=pd.Series(cells, dtype=object)))
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    "column", [pd.date_range("2026-01-01", periods=100), pd.to_timedelta(range(100), unit="h")]
)
def test_dates_where_numbers_were(column: Any) -> None:
    contract = Contract.learn(table(), SOURCE)
    assert len(reasons(contract, table().assign(x=column))) == 100


def test_truths_as_text_stay_truths() -> None:
    contract = Contract.learn(table(flag=[True, False] * 50), SOURCE)
    mixed = ["true", "False", "perhaps", None, *["1"] * 96]
    checked = contract.check(table(flag=mixed), SOURCE)
    assert checked.rows["flag"].head(2).tolist() == [1.0, 0.0]
    assert list(checked.quarantined["flag"]) == ["perhaps"]


def test_an_all_missing_column_passes_with_a_note() -> None:
    contract = Contract.learn(table(word=["a", "b"] * 50), SOURCE)
    checked = contract.check(table().assign(x=None, word=None), SOURCE)
    assert len(checked.rows) == 100
    assert checked.notes == ("'x' is missing in every row", "'word' is missing in every row")


def test_a_new_category_passes_with_a_note() -> None:
    contract = Contract.learn(table(word=["a", "b"] * 50), SOURCE)
    checked = contract.check(table(word=["a", "z"] * 50), SOURCE)
    assert len(checked.rows) == 100
    assert checked.notes == ("'word' has 1 new categories, e.g. 'z'",)


def test_category_codes_read_the_same_with_and_without_missing_values() -> None:
    coded = pd.Categorical([1, 2] * 50)
    contract = Contract.learn(table(code=coded), SOURCE)
    checked = contract.check(table(code=[1.0, None] * 50), SOURCE)
    assert checked.rows["code"].dropna().unique().tolist() == ["1"]
    assert checked.notes == ()


def test_half_a_surrogate_pair_can_be_written() -> None:
    contract = Contract.learn(table(word=["a", "\ud83d"] * 50), SOURCE)
    checked = contract.check(table(word=["a", "\ud83d"] * 50), SOURCE)
    assert checked.rows["word"].iloc[1].encode()
    assert checked.notes == ()


def test_duplicated_ids_leave_the_first_and_missing_ids_alone() -> None:
    contract = Contract.learn(table(key=range(100)), KEYED)
    rows = table(key=["a", "b", "a", None, None, *range(95)])
    checked = contract.check(rows, KEYED)
    assert list(checked.quarantined["reason"]) == ["duplicate id in 'key'"]
    assert checked.quarantined["t"].tolist() == [2]


def test_one_row_has_one_reason_the_first_found() -> None:
    contract = Contract.learn(table(z=1.0), SOURCE)
    rows = table(z=1.0)
    rows.loc[3, ["x", "z"]] = np.inf
    assert reasons(contract, rows) == ["'x' is infinite"]


def test_a_column_called_reason_or_batch_is_not_overwritten() -> None:
    contract = Contract.learn(table(reason=["a", "b"] * 50, __batch__=1.0), SOURCE)
    assert contract.names == ("x", "reason")
    assert contract.left_out == ("__batch__ (a name that rekindle uses)",)
    rows = table(reason=["a", "b"] * 50)
    rows.loc[0, "x"] = np.inf
    quarantined = contract.check(rows, SOURCE).quarantined
    assert quarantined[["reason", "reason_in_source"]].to_numpy().tolist() == [["'x' is infinite", "a"]]


def test_a_name_that_cannot_be_written_is_no_feature() -> None:
    contract = Contract.learn(table(**{"a\x00b": 1.0}), SOURCE)
    assert contract.left_out == ("a\x00b (a NUL in its name)",)


def test_one_bad_label_does_not_turn_all_labels_into_text() -> None:
    contract = Contract.learn(table(), SOURCE)
    checked = contract.check(table().assign(y=["yes", *["0", "1"] * 49, None]), SOURCE)
    assert list(checked.quarantined["reason"]) == ["'y' holds text where a number was, e.g. 'yes'"]
    assert set(checked.rows["y"].dropna()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("learnt", "bad", "said"),
    [
        ([0, 1], 0.5, "a fraction"),
        ([0, 1], np.inf, "infinite"),
        ([0.5, 1.7], np.inf, "infinite"),
        ([0.5, 1.7], "much", "text where a number was"),
        ([True, False], "maybe", "true or false"),
        ([True, False], 7, "neither true nor false"),
    ],
)
def test_bad_labels_are_quarantined(learnt: list[Any], bad: Any, said: str) -> None:
    good = table().assign(y=pd.Series(learnt * 50))
    contract = Contract.learn(good, SOURCE)
    found = reasons(contract, good.assign(y=[bad, *good["y"].astype(object).iloc[1:]]))
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize("learnt", [[0, 1], [True, False], ["no", "yes"], [0.5, 1.5]])
def test_missing_labels_are_not_bad(learnt: list[Any]) -> None:
    good = table().assign(y=learnt * 50)
    contract = Contract.learn(good, SOURCE)
    checked = contract.check(good.assign(y=[*learnt, *[None] * 98]), SOURCE)
    assert checked.rows["y"].notna().sum() == 2
    assert checked.quarantined.empty


def test_labels_of_any_slice_come_out_alike() -> None:
    """A boolean or whole label does not change its kind with what is missing around it."""
    truths = table().assign(y=[True, False] * 49 + [None, None])
    contract = Contract.learn(truths, SOURCE)
    whole = contract.check(truths, SOURCE).rows["y"].tolist()
    part = contract.check(truths.iloc[:10].assign(y=[True, False] * 5), SOURCE).rows["y"].tolist()
    assert whole[:10] == part
    assert {type(v) for v in part} == {bool}


def test_no_rows_can_be_checked() -> None:
    contract = Contract.learn(table(word=["a", "b"] * 50), SOURCE)
    checked = contract.check(table(word="a").iloc[:0], SOURCE)
    assert (len(checked.rows), len(checked.quarantined), checked.notes) == (0, 0, ())


def test_json_round_trip() -> None:
    contract = Contract.learn(table(word=["ä", "\n"] * 50, gone=None), SOURCE)
    assert Contract.from_json(json.loads(json.dumps(contract.to_json()))) == contract
    old = {k: v for k, v in contract.to_json().items() if k != "label_kind"}
    assert Contract.from_json(old).label_kind == ""
    with pytest.raises(SchemaError, match="version 99"):
        Contract.from_json({**contract.to_json(), "version": 99})

"""Single columns: what kind a feature or a label is, and how its values become that kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.errors import NotEnoughData, SchemaError
from rekindle.records import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEVELS", "as_label", "as_numbers", "as_text", "label_kind", "learn_column", "mark"]

LEVELS = 250  # categories kept apart; rarer ones read as missing
CLASSES = 20  # a whole-number label with more distinct values than this is a quantity
NUMERIC = 0.95  # share of a text column that must be numbers: a few words among numbers are bad rows, not a category
NUMERIC_LABEL = 0.99  # the same for labels, where a rare word may be a class
GLANCE = 500  # values that are looked at before all are
WHOLE = 2.0**53  # whole floats beyond this are no exact class numbers
# What a column of truths may say in text; the CSV reader knows the same words.
TRUTHS = {"true": 1.0, "t": 1.0, "yes": 1.0, "y": 1.0, "false": 0.0, "f": 0.0, "no": 0.0, "n": 0.0}
DATES = {"datetime", "datetime64", "date", "time", "timedelta", "timedelta64", "period", "interval"}
NESTED = (list, tuple, dict, set, frozenset, np.ndarray)


def learn_column(name: str, values: pd.Series) -> tuple[Column | None, str]:
    """What kind of feature this is, or None and why it can be none."""
    there = values.dropna()
    if there.empty:
        return None, "no value in any row"
    why = _unusable(there)
    if why:
        return None, why
    if _is_boolean(there):
        return Column(name, "boolean"), ""
    if values.dtype.kind in "iuf":
        return Column(name, "number"), ""
    if not isinstance(values.dtype, pd.CategoricalDtype) and _mostly_numbers(there, NUMERIC):
        return Column(name, "number"), ""
    counts = as_text(there).value_counts()
    most_differ = len(counts) > 1000 and len(counts) > 0.1 * len(there)
    if most_differ or (len(counts) > 50 and len(counts) > 0.9 * len(there)):
        return None, "nearly every value is different: an identifier?"
    return Column(name, "category", tuple(str(v) for v in counts.index[:LEVELS])), ""


def label_kind(label: pd.Series, name: str, task: str | None) -> tuple[str, str]:
    """Task and kind ("number", "whole", "boolean", "text") of the labels; `task` is what the trainer says.

    Raises NotEnoughData when no label is known and nobody says the task, SchemaError for dates.
    """
    known = label.dropna()
    if known.empty:
        if task is None:
            raise NotEnoughData(f"no row has a known label in {name!r}; wait for labels, or check the column")
        return task, "number" if task == "regression" else ""
    if _unusable(known):
        raise SchemaError(f"the label {name!r} is {_unusable(known)}; give a number, a word or true/false")
    if task == "regression":
        return task, "number"
    if _is_boolean(known):
        return "classification", "boolean"
    if not _mostly_numbers(known, NUMERIC_LABEL):
        return "classification", "text"
    numbers = as_numbers(known, name, np.full(len(known), "", dtype=object))
    finite = numbers[np.isfinite(numbers)]
    if not len(finite) or np.isfinite(numbers).mean() < NUMERIC_LABEL:
        return "classification", "text"
    whole = bool((finite == np.floor(finite)).all() and np.abs(finite).max() < WHOLE)
    if task is None and not (whole and len(np.unique(finite)) <= CLASSES):
        return "regression", "number"
    return "classification", "whole" if whole else "text"


def as_label(values: pd.Series, kind: str, name: str, reasons: NDArray[Any]) -> Any:
    """Labels in the kind that was learned, missing ones left missing; a reason for each that cannot be."""
    if kind == "number":
        return as_numbers(values, name, reasons)
    if kind == "boolean":
        numbers = as_numbers(values, name, reasons, truths=True)
        mark(
            reasons, ~np.isin(numbers, (0.0, 1.0)) & ~np.isnan(numbers), f"{name!r} is neither true nor false"
        )
        truths = np.full(len(numbers), None, dtype=object)
        truths[numbers == 1.0], truths[numbers == 0.0] = True, False
        return truths
    if kind == "whole":
        if values.dtype.kind in "iu":
            return values
        numbers = as_numbers(values, name, reasons)
        with np.errstate(invalid="ignore"):
            broken = (numbers != np.floor(numbers)) & np.isfinite(numbers)
        mark(reasons, broken, f"{name!r} holds a fraction where a whole number was")
        return numbers
    return as_text(values) if kind == "text" else values


def as_numbers(
    values: pd.Series, name: str, reasons: NDArray[Any], *, truths: bool = False
) -> NDArray[np.float64]:
    """Values as float64, missing ones NaN; a reason for each that is no finite number (with `truths`, or yes/no)."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if values.dtype.kind in "biuf":
        numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = _parsed(values, truths)
        lost = np.isnan(numbers) & values.notna().to_numpy(dtype=bool)
        if lost.any():
            example = str(values[lost].iloc[0])[:40]
            wanted = "true or false" if truths else "a number"
            what = "text" if isinstance(values[lost].iloc[0], str) else "something else"
            mark(reasons, lost, f"{name!r} holds {what} where {wanted} was, e.g. {example!r}")
    endless = np.isinf(numbers)
    if endless.any():
        mark(reasons, endless, f"{name!r} is infinite")
    return numbers


def as_text(values: pd.Series) -> pd.Series:
    """Values as text, missing ones None; a whole number reads the same whether it came as 7 or 7.0."""
    missing = values.isna()
    if not isinstance(values.dtype, pd.StringDtype):
        values = _mapped(values)
    else:
        values = values.astype(object)
        try:
            "".join(values[~missing].unique()).encode()
        except UnicodeEncodeError:
            values = values.map(_text, na_action="ignore")
    return values.where(~missing, None)


def _mapped(values: pd.Series) -> pd.Series:
    """Each distinct value is written once; values that cannot be told apart by hash one by one."""
    try:
        codes, distinct = pd.factorize(values.astype(object), use_na_sentinel=True)
    except TypeError:
        return values.astype(object).map(_text, na_action="ignore")
    written = np.array([*(_text(v) for v in distinct), None], dtype=object)
    return pd.Series(written[codes], index=values.index, dtype=object)


def mark(reasons: NDArray[Any], where: NDArray[np.bool_], reason: str) -> None:
    """Note a reason for rows that have none yet."""
    reasons[where & (reasons == "")] = reason


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(float(value)) < WHOLE:
        value = int(value)
    # half a surrogate pair cannot be written anywhere
    return str(value).encode("utf-8", "replace").decode()


def _parsed(values: pd.Series, truths: bool = False) -> NDArray[np.float64]:
    if values.dtype.kind in "mMc":
        return np.full(len(values), np.nan)
    if isinstance(values.dtype, pd.StringDtype) and not truths:
        quick = pd.to_numeric(values, errors="coerce")
        return np.asarray(quick.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.fromiter((_number(v, truths) for v in values), dtype=np.float64, count=len(values))


def _number(value: Any, truths: bool) -> float:
    if isinstance(value, str):
        if truths and value.strip().lower() in TRUTHS:
            return TRUTHS[value.strip().lower()]
    elif isinstance(value, (bytes, complex, np.datetime64, np.timedelta64, pd.Timestamp, pd.Timedelta)):
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return np.nan


def _mostly_numbers(there: pd.Series, share: float) -> bool:
    """Is this share of the values a number? A look at some of them answers it for words at once."""
    if there.dtype.kind in "iuf":
        return True
    some = there.iloc[:: max(1, len(there) // GLANCE)]
    if np.isnan(_parsed(some)).mean() > 0.5:
        return False
    return bool((~np.isnan(_parsed(there))).mean() >= share)


def _is_boolean(there: pd.Series) -> bool:
    boxed = there.dtype == object and pd.api.types.infer_dtype(there, skipna=True) == "boolean"
    return bool(boxed or there.dtype.kind == "b")


def _unusable(there: pd.Series) -> str:
    if there.dtype.kind in "mM":
        return "a date"
    if there.dtype.kind == "c":
        return "a column of complex numbers"
    if there.dtype != object:
        return "a date" if isinstance(there.dtype, (pd.PeriodDtype, pd.IntervalDtype)) else ""
    kind = pd.api.types.infer_dtype(there, skipna=True)
    if kind in DATES:
        return "a date"
    if kind in ("bytes", "complex"):
        return "a nested or binary column"
    return "a nested or binary column" if isinstance(there.iloc[0], NESTED) else ""

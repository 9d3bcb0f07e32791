"""One column as plain NumPy, whatever frame it came from; pandas and polars are never imported for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["kind_of", "level_counts", "to_numbers"]

NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating, Decimal)


def kind_of(values: Any) -> str:
    """ "numbers" (bools too), "levels" (categories, text, mixtures), "times", or "other" (complex).

    A column of Python objects is looked into: numbers and None alone are numbers.

    >>> kind_of(np.array([True, None], dtype=object))
    'numbers'
    """
    if _codes(values) is not None:
        return "levels"
    kind = getattr(getattr(values, "dtype", None), "kind", None) or _array(values).dtype.kind
    if kind == "O":
        return _kind_of_objects(values)
    return {"M": "times", "c": "other"}.get(kind, "levels" if kind in "TUSV" else "numbers")


def to_numbers(values: Any) -> NDArray[np.float64]:
    """The column as contiguous float64: bools are 0 and 1, whatever is no number is NaN.

    Whole numbers beyond 2**53 lose their last bits here; for bin counts that is of no account.
    """
    array = _plain(values)
    if array.dtype.kind == "m":
        return np.asarray(array / np.timedelta64(1, "s"), dtype=np.float64)
    if array.dtype.kind in "Mc":
        return np.full(array.shape, np.nan)
    try:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.array([_number(value) for value in array.tolist()], dtype=np.float64)


def level_counts(values: Any) -> tuple[dict[str, int], int]:
    """Rows per level by name, and rows without a value.

    Numbers are named alike in every type: 1, 1.0 and numpy.int8(1) are "1".

    >>> level_counts(np.array(["a", "b", "a", None], dtype=object))
    ({'a': 2, 'b': 1}, 1)
    """
    coded = _codes(values)
    if coded is not None:
        codes, names = coded
        counts = np.bincount(codes.astype(np.int64) + 1, minlength=len(names) + 1)
        tally: Counter[Hashable] = Counter(dict(zip(names, counts[1:].tolist(), strict=True)))
        missing = int(counts[0])
    else:
        tally, missing = _tally(_plain(values)), 0
    named: dict[str, int] = {}
    for level, rows in tally.items():
        if _missing(level):
            missing += rows
        elif rows:
            name = _name(level)
            named[name] = named.get(name, 0) + rows
    return named, missing


def _plain(values: Any) -> NDArray[Any]:
    dtype = getattr(values, "dtype", None)
    nullable = hasattr(values, "to_numpy") and not isinstance(dtype, np.dtype)
    if nullable and getattr(dtype, "kind", "O") in "iufb":
        return np.asarray(values.to_numpy(dtype="float64", na_value=np.nan))
    array = _array(values)
    return array.reshape(len(array), -1)[:, 0] if array.ndim > 1 and len(array) else array.reshape(-1)


def _array(values: Any) -> NDArray[Any]:
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy())
    if isinstance(values, np.ndarray):
        return values
    # A list keeps its values as they are: as an array [1, "a"] would be ["1", "a"], and [[1], [1, 2]] an error.
    items = list(values)
    objects = np.empty(len(items), dtype=object)
    for position, item in enumerate(items):
        objects[position] = item
    return objects


def _codes(values: Any) -> tuple[NDArray[Any], list[Hashable]] | None:
    """Codes and levels of a pandas categorical or a Series of one."""
    coded = getattr(values, "cat", values)
    if not hasattr(coded, "codes") or not hasattr(coded, "categories"):
        return None
    return np.asarray(coded.codes), list(coded.categories)


def _tally(array: NDArray[Any]) -> Counter[Hashable]:
    items = array.tolist()
    try:
        return Counter(items)
    except TypeError:  # lists or dicts in the column
        return Counter(map(repr, items))


def _kind_of_objects(values: Any) -> str:
    kinds = {_kind_of_value(level) for level in _tally(_plain(values)) if not _missing(level)}
    if not kinds:  # nothing but missing values
        return "levels" if getattr(getattr(values, "dtype", None), "name", "") == "str" else "numbers"
    return kinds.pop() if len(kinds) == 1 else "levels"


def _kind_of_value(value: object) -> str:
    if isinstance(value, NUMBERS):
        return "numbers"
    return "times" if isinstance(value, (date, np.datetime64)) else "levels"


def _missing(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, Decimal)) and value != value


def _name(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(value: object) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")  # type: ignore[operator]
    except (TypeError, ValueError):
        return float("nan")

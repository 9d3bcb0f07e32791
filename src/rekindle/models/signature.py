"""Which columns a model takes, and how rows of any shape become them: the same offline and served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.errors import SchemaError
from rekindle.records import Column

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Signature"]


@dataclass(frozen=True, slots=True)
class Signature:
    """The features of a model, in the order it was fitted on."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(c.name for c in self.columns)

    def prepare(self, rows: Any) -> pd.DataFrame:
        """Rows as the model wants them: numbers as float64, categories with the levels known at training.

        `rows` may be a pandas, polars or Arrow table, one mapping, a sequence of mappings, or a two-dimensional
        array in column order. An unknown category reads as missing. Raises SchemaError when a feature is not there.

        >>> Signature((Column("x", "number"),)).prepare({"x": "2"})["x"].tolist()
        [2.0]
        """
        import pandas as pd

        frame = self._as_frame(rows, pd)
        prepared: dict[str, Any] = {}
        for column in self.columns:
            if column.name not in frame.columns:
                raise SchemaError(
                    f"the rows lack the feature {column.name!r}; this model takes {', '.join(self.names)}"
                )
            values = frame[column.name]
            if values.ndim != 1:
                raise SchemaError(
                    f"the rows hold the feature {column.name!r} twice; give each column its own name"
                )
            if column.kind == "category":
                prepared[column.name] = _categories(values, column.levels, pd)
            elif column.kind == "text":  # adopted models bring their own encoders
                prepared[column.name] = values.astype(object)
            else:
                prepared[column.name] = _numbers(values, column.name)
        return pd.DataFrame(prepared, copy=False)

    def _as_frame(self, rows: Any, pd: Any) -> pd.DataFrame:
        if isinstance(rows, pd.DataFrame):
            return rows
        if isinstance(rows, pd.Series):  # one row of a table
            return pd.DataFrame([rows])
        if isinstance(rows, Mapping):
            return pd.DataFrame([rows])
        if (
            isinstance(rows, Sequence)
            and not isinstance(rows, str)
            and all(isinstance(r, Mapping) for r in rows)
        ):
            return pd.DataFrame(list(rows), columns=None if rows else list(self.names))
        if hasattr(rows, "columns"):
            return self._from_other_table(rows, pd)
        # As objects: in a list of 1.5, "a" and True NumPy would make all of them text.
        array = np.atleast_2d(rows if isinstance(rows, np.ndarray) else np.asarray(rows, dtype=object))
        if array.ndim > 2 or array.shape[1] != len(self.columns):
            raise SchemaError(
                f"rows have {array.shape[-1]} columns, this model takes {len(self.columns)}: {', '.join(self.names)}"
            )
        return pd.DataFrame(array, columns=list(self.names))

    def _from_other_table(self, rows: Any, pd: Any) -> pd.DataFrame:
        """A polars, Arrow or other table: its columns go by name, wherever they stand in it."""
        import narwhals as nw

        try:
            table = nw.from_native(rows, eager_only=True)
        except TypeError as error:
            raise SchemaError(
                f"rows of type {type(rows).__name__} cannot be read; give a table or mappings"
            ) from error
        held = [name for name in self.names if name in table.columns]
        return pd.DataFrame({name: table[name].to_list() for name in held})

    def to_json(self) -> list[list[Any]]:
        """Plain JSON."""
        return [[c.name, c.kind, list(c.levels)] for c in self.columns]

    @classmethod
    def from_json(cls, stored: Sequence[Sequence[Any]]) -> Signature:
        """The reverse of `to_json`."""
        return cls(tuple(Column(n, k, tuple(levels)) for n, k, levels in stored))


def _text(value: Any) -> str:
    """A category as the contract writes it: 7.0 is "7", as it is among whole numbers."""
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value) if whole else value)


def _categories(values: pd.Series, levels: Sequence[str], pd: Any) -> Any:
    """Each distinct value is looked up once, however many rows bear it."""
    codes, distinct = pd.factorize(values.astype(object), use_na_sentinel=True)
    known = pd.Index(levels, dtype=object)
    places = known.get_indexer(pd.Index([_text(v) for v in distinct], dtype=object))
    return pd.Categorical.from_codes(np.append(places, -1)[codes], known)


def _numbers(values: pd.Series, name: str) -> Any:
    try:
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"feature {name!r} takes numbers: {error}") from error

"""The hash of rows as rows: the same for any thread count, file layout or writer version."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["canonical_hash", "canonical_order"]

# Raise it when the bytes below change, and keep the old function beside the new one: ids must stay checkable.
VERSION = 1


def canonical_hash(rows: pd.DataFrame) -> str:
    """BLAKE2b over column names, kinds and values, rows in the order given (see `canonical_order`).

    Columns are taken by name, so their order does not matter; -0.0 counts as 0.0, every NaN as the same NaN.
    """
    digest = hashlib.blake2b(digest_size=20)
    digest.update(f"rekindle rows v{VERSION} {len(rows)}".encode())
    for name in sorted(rows.columns):
        kind, parts = _plain(rows[name])
        digest.update(f"\x00{name}\x00{kind}\x00".encode())
        for part in parts:
            digest.update(part)
    return digest.hexdigest()


def canonical_order(rows: pd.DataFrame, time: str) -> pd.DataFrame:
    """Rows by time; rows of one time by their other columns, so that the order never depends on the reader."""
    rows = rows.sort_values(time, kind="stable", ignore_index=True)
    tied = rows[time].duplicated(keep=False).to_numpy()
    if not tied.any():
        return rows
    others = sorted(c for c in rows.columns if c != time)
    keys = [_sort_key(rows.loc[tied, c]) for c in reversed(others)]
    within = np.lexsort([*keys, _sort_key(rows.loc[tied, time])])
    order = np.arange(len(rows))
    order[tied] = np.flatnonzero(tied)[within]
    return rows.iloc[order].reset_index(drop=True)


def _sort_key(values: pd.Series) -> NDArray[np.int64]:
    if values.dtype == object or isinstance(values.dtype, (pd.CategoricalDtype, pd.StringDtype)):
        values = pd.Series(_texts(values), dtype=object)
    codes, uniques = pd.factorize(values, sort=False, use_na_sentinel=True)
    rank = np.empty(len(uniques) + 1, dtype=np.int64)
    rank[np.argsort(np.asarray(uniques), kind="stable")] = np.arange(len(uniques))
    rank[-1] = -1  # a missing value has code -1 and sorts first
    return np.asarray(rank[codes])


def _plain(values: pd.Series) -> tuple[str, list[bytes | memoryview]]:
    if values.dtype.kind == "M":
        return "time", [np.ascontiguousarray(values.dt.as_unit("us").astype("int64").to_numpy(), "<i8").data]
    if values.dtype.kind in "iub" and not values.isna().any():
        return "integer", [np.ascontiguousarray(values.to_numpy(dtype="<i8")).data]
    if values.dtype.kind in "iubf":
        numbers = values.to_numpy(dtype="<f8", na_value=np.nan) + 0.0  # -0.0 becomes 0.0
        numbers[np.isnan(numbers)] = np.nan
        return "number", [np.ascontiguousarray(numbers).data]
    encoded = [b"" if t is None else t.encode("utf-8", "surrogatepass") for t in _texts(values)]
    lengths = np.fromiter((len(e) for e in encoded), dtype="<i8", count=len(encoded))
    lengths[values.isna().to_numpy(dtype=bool)] = -1
    return "text", [lengths.data, b"".join(encoded)]


def _texts(values: pd.Series) -> list[str | None]:
    missing = values.isna().to_numpy(dtype=bool)
    return [None if gone else str(v) for v, gone in zip(values, missing, strict=True)]

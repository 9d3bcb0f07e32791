"""Rows that may not train or be scored, kept with their reason."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rekindle.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["put_aside"]


def put_aside(rows: pd.DataFrame, folder: Path, name: str) -> str | None:
    """Write quarantined rows (with their column `reason`) as `folder/name.csv`; None when there are none.

    Text keeps whatever the rows held, so nothing is lost to a type. Raises StoreError when it cannot be written.
    """
    if rows.empty:
        return None
    target = folder / f"{name}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = target.with_suffix(".tmp")
        rows.to_csv(scratch, index=False, errors="backslashreplace")
        scratch.replace(target)
    except OSError as error:
        raise StoreError(
            f"quarantine {target} cannot be written: {error.strerror or error}. Free some space and run again."
        ) from error
    return str(target)

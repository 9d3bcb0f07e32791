"""What a trainer is given to fit on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rekindle.records import Floats, Frame

__all__ = ["Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Labelled rows, prepared."""

    features: Frame  # float64 and category columns
    label: Any  # array, one per row, none missing
    weight: Floats | None  # sample weights; None: all the same
    task: str  # "classification" or "regression"
    classes: tuple[Any, ...]  # distinct labels, sorted; empty for regression

    def __len__(self) -> int:
        return len(self.label)

"""How a judged candidate becomes champion. One member so far: at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Immediate", "Rollout"]


@dataclass(frozen=True, slots=True)
class Immediate:
    """Promote at once, without shadow or canary. What demo and backtest use."""


Rollout: TypeAlias = Immediate

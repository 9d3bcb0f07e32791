"""Every error rekindle raises on purpose. Each builds its own sentence and names the next action.

RekindleError
├── DeclarationError (ValueError)      a Loop, trigger, gate ... was declared wrongly
├── ConfigError (ValueError)           a setting, flag or environment variable is wrong
├── UnknownName (LookupError)          a loop, run or version that does not exist
├── SourceError (OSError)              rows could not be read
│   └── SchemaError                    they could, but not with the declared columns or types
├── NotEnoughData (ValueError)         too few rows or labels to do what was asked
├── StoreError (OSError)               the home or the control database cannot be used
│   └── HomeBusy                       another process acts on this home
├── TrainingError (RuntimeError)       a training failed; the champion keeps serving
│   ├── TrainingTimeout                it ran longer than its limit
│   └── TrainingKilled                 it was killed, or went over its memory limit
├── BundleError (ValueError)           a model folder is incomplete, altered or not allowed
├── StaleSwap (RuntimeError)           a swap expected another version than the one in the slot
└── Stopped (RuntimeError)             asked to stop; the run resumes at its next step
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "BundleError",
    "ConfigError",
    "DeclarationError",
    "HomeBusy",
    "NotEnoughData",
    "RekindleError",
    "SchemaError",
    "SourceError",
    "StaleSwap",
    "Stopped",
    "StoreError",
    "TrainingError",
    "TrainingKilled",
    "TrainingTimeout",
    "UnknownName",
    "did_you_mean",
]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A closing sentence that names the nearest known word, or lists them all.

    >>> did_you_mean("triger", ["trainer", "triggers"])
    "Did you mean 'triggers'?"
    """
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(names) or 'none'}."


class RekindleError(Exception):
    """Base of all errors rekindle raises on purpose; its text is a sentence for people."""


class DeclarationError(RekindleError, ValueError):
    """A declaration is wrong: names the field, the value, and what to write instead."""

    def __init__(self, field: str, value: object, instead: str) -> None:
        self.field, self.value, self.instead = field, value, instead
        super().__init__(f"{field}={value!r} cannot be used: {instead}")


class ConfigError(RekindleError, ValueError):
    """A setting is wrong: names the setting, where it came from, and what it takes."""

    def __init__(self, setting: str, value: object, origin: str, instead: str) -> None:
        self.setting, self.value, self.origin = setting, value, origin
        super().__init__(f"setting {setting}={value!r} (from {origin}) cannot be used: {instead}")


class UnknownName(RekindleError, LookupError):
    """Something was asked for by a name that does not exist here."""

    def __init__(self, what: str, name: object, known: Iterable[str] = ()) -> None:
        self.what, self.name = what, name
        super().__init__(f"no {what} named {str(name)!r}. {did_you_mean(str(name), known)}")


class SourceError(RekindleError, OSError):
    """Rows could not be read: names the file or table and what to do."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class SchemaError(SourceError):
    """The rows do not carry the declared columns or types."""


class NotEnoughData(RekindleError, ValueError):
    """Too few rows, labels or classes for what was asked."""


class StoreError(RekindleError, OSError):
    """The home folder or the control database cannot be used."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class HomeBusy(StoreError):
    """Another process acts on this home."""


class TrainingError(RekindleError, RuntimeError):
    """A training failed; the champion keeps serving."""

    log: str | None = None  # file with what the training printed, where there is one


class TrainingTimeout(TrainingError):
    """A training ran longer than its limit and was stopped."""


class TrainingKilled(TrainingError):
    """A training was killed from outside, or went over its memory limit."""


class BundleError(RekindleError, ValueError):
    """A model folder is incomplete, altered, or holds types nobody allowed."""


class StaleSwap(RekindleError, RuntimeError):
    """A swap expected another version than the one that serves: a newer promotion came first."""


class Stopped(RekindleError, RuntimeError):
    """Asked to stop between two steps; the run resumes at the next one."""

"""A declaration as plain JSON: what a loop was told, stable from one process to the next."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from rekindle.records import Env

__all__ = ["declare", "differences", "fingerprint"]

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def declare(value: Any) -> Any:
    """A value as JSON that tells it from any other: its class, its settings, and the text of user code.

    >>> declare(timedelta(days=1))
    '1 day, 0:00:00'
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (timedelta, datetime)):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Env):
        return {"env": value.name}
    if isinstance(value, Mapping):
        return {str(k): declare(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [declare(v) for v in value]
    return _declare_object(value)


def _declare_object(value: Any) -> Any:
    if inspect.isfunction(value) or inspect.isbuiltin(value) or inspect.isclass(value):
        return {"function": f"{value.__module__}.{value.__qualname__}", **_text(value)}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if hasattr(value, "describe"):
        return {**declare(value.describe()), "kind": kind}
    if is_dataclass(value):
        told = {f.name: declare(getattr(value, f.name)) for f in fields(value) if f.compare and f.init}
    elif hasattr(value, "get_params"):
        told = {k: declare(v) for k, v in sorted(value.get_params(deep=False).items())}
    elif getattr(value, "__dict__", None):
        told = {k: declare(v) for k, v in sorted(vars(value).items()) if not k.startswith("_")}
    else:
        told = {"repr": ADDRESS.sub("", repr(value))}
    return {**told, **_text(type(value)), "kind": kind}


def _text(code: Any) -> dict[str, str]:
    """The hash of user code, so that an edited function is another declaration; installed packages have versions."""
    module = getattr(code, "__module__", "") or ""
    if module.split(".")[0] in (
        "builtins",
        "rekindle",
        "sklearn",
        "numpy",
        "scipy",
        "pandas",
        "lightgbm",
        "xgboost",
    ):
        return {}
    try:
        text = inspect.getsource(code)
    except (OSError, TypeError):
        return {}
    return {"code": hashlib.sha256(text.encode()).hexdigest()[:16]}


def fingerprint(declaration: Any, text: str = "") -> str:
    """A short hash of a declaration and the text it was written in."""
    whole = json.dumps(declaration, sort_keys=True, default=str) + "\x00" + text
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The fields that changed, one sentence each.

    >>> differences({"every": "1d"}, {"every": "7d"})
    ["every: '1d' -> '7d'"]
    """
    changed = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and before.get("kind") == after.get("kind"):
            changed += [f"{name}.{line}" for line in differences(before, after)]
        else:
            changed.append(f"{name}: {_short(before)} -> {_short(after)}")
    return changed


def _short(value: Any) -> str:
    text = repr(value)
    if isinstance(value, dict) and "kind" in value:
        text = str(value["kind"]).rsplit(".", 1)[-1]
    return text if len(text) <= 80 else text[:77] + "..."

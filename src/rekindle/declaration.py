"""A declaration as plain JSON, stable from one process to the next; and the numbers in it, checked."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from numbers import Real
from types import CodeType
from typing import Any

from rekindle.errors import DeclarationError
from rekindle.records import Env

__all__ = ["LOOPS_MODULE", "declare", "differences", "fingerprint", "finite", "head_field", "whole"]

# Loops files are executed as modules of this name and a hash of their place, which is no part of a declaration.
LOOPS_MODULE = "rekindle_loops_"
PLACE = re.compile(rf"\b{LOOPS_MODULE}[0-9a-f]+\b")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# Their code is told by their version.
INSTALLED = ("builtins", "rekindle", "sklearn", "numpy", "scipy", "pandas", "lightgbm", "xgboost")
FIELD = re.compile(r"[^.:\[]*")


def declare(value: Any) -> Any:
    """A value as JSON that tells it from any other: its class, its settings, and the text of user code.

    >>> declare(timedelta(days=1))
    '1 day, 0:00:00'
    """
    return _declare(value, ())


def _declare(value: Any, above: tuple[int, ...]) -> Any:
    """`above` are the objects that this one lies in: one that holds itself must not be told for ever."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}  # nan equals nothing
    if isinstance(value, (timedelta, datetime)):
        return str(value)
    if isinstance(value, Env):
        return {"env": value.name}
    if id(value) in above:
        return {"again": _kind(type(value))}
    above = (*above, id(value))
    if isinstance(value, Mapping):
        return {str(k): _declare(v, above) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_declare(v, above) for v in value]
    if isinstance(value, (set, frozenset)):  # their order differs from process to process
        return sorted((_declare(v, above) for v in value), key=lambda told: json.dumps(told, sort_keys=True))
    return _declare_code(value, above) or _declare_object(value, above)


def _declare_code(value: Any, above: tuple[int, ...]) -> dict[str, Any] | None:
    """Functions, methods, partial calls and classes; None for anything else."""
    if isinstance(value, functools.partial):
        told = {"function": value.func, "args": value.args, "keywords": value.keywords}
        return {"kind": "functools.partial", **{k: _declare(v, above) for k, v in told.items()}}
    if inspect.ismethod(value):
        return {"method": value.__name__, "of": _declare(value.__self__, above)}
    if inspect.isclass(value) or inspect.isbuiltin(value):
        return {"function": _kind(value), **_text(value)}
    if not inspect.isfunction(value):
        return None
    bound = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *_enclosed(value)]
    held = {"holds": [_declare(v, above) for v in bound]} if bound else {}
    return {"function": _kind(value), **held, **_text(value)}


def _enclosed(function: Any) -> list[Any]:
    """What a function made by another one remembers of it."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            continue
    return found


def _declare_object(value: Any, above: tuple[int, ...]) -> Any:
    kind = _kind(type(value))
    if hasattr(value, "describe"):
        return {**_declare(value.describe(), above), "kind": kind}
    if hasattr(value, "tobytes") and hasattr(value, "dtype"):
        return _declare_array(value, kind, above)
    if is_dataclass(value):
        told = {
            f.name: _declare(getattr(value, f.name), above) for f in fields(value) if f.compare and f.init
        }
    elif hasattr(value, "get_params"):
        told = {k: _declare(v, above) for k, v in sorted(value.get_params(deep=False).items())}
    elif getattr(value, "__dict__", None):
        told = {k: _declare(v, above) for k, v in sorted(vars(value).items()) if not k.startswith("_")}
    else:
        told = {"repr": PLACE.sub("loops", ADDRESS.sub("", repr(value)))}
    return {**told, **_text(type(value)), "kind": kind}


def _declare_array(value: Any, kind: str, above: tuple[int, ...]) -> Any:
    """NumPy values; the printed form of a long array leaves its middle out."""
    if not getattr(value, "shape", ()):
        return _declare(value.item(), above)
    if str(value.dtype) == "object":
        return {"kind": kind, "values": _declare(value.tolist(), above)}
    told = hashlib.sha256(value.tobytes()).hexdigest()[:16]
    return {"kind": kind, "dtype": str(value.dtype), "shape": list(value.shape), "content": told}


def _kind(code: Any) -> str:
    place = PLACE.sub("loops", getattr(code, "__module__", None) or "builtins")
    return f"{place}.{code.__qualname__}"


def _text(code: Any) -> dict[str, str]:
    """The hash of user code, so that an edited function is another declaration; installed packages have versions."""
    module = getattr(code, "__module__", "") or ""
    if module.split(".")[0] in INSTALLED:
        return {}
    text = _source(getattr(code, "__code__", code))
    return {"code": hashlib.sha256(text.encode()).hexdigest()[:16]} if text else {}


@functools.lru_cache(
    maxsize=4096
)  # finding a class in its file takes milliseconds, and a fleet shares its classes
def _source(code: Any) -> str:
    try:
        return inspect.getsource(code)
    except (OSError, TypeError, SyntaxError, IndexError):  # typed in a shell, or compiled from a string
        return _instructions(code) if isinstance(code, CodeType) else ""


def _instructions(code: CodeType) -> str:
    """What tells one compiled function from another where its text is gone."""
    consts = [_instructions(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, consts))


def _constant(value: Any) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def fingerprint(declaration: Any, text: str = "") -> str:
    """A short hash of a declaration and the text it was written in."""
    whole = json.dumps(declaration, sort_keys=True, default=str) + "\x00" + text
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The fields that changed, one sentence each.

    >>> differences({"every": "1d"}, {"every": "7d"})
    ["every: '1d' -> '7d'"]
    """
    return [line for name in sorted({*old, *new}) for line in _changed(name, old.get(name), new.get(name))]


def head_field(difference: str) -> str:
    """The field of the Loop that a line of `differences` speaks of.

    >>> head_field("triggers[0].max_threshold: 0.25 -> 0.3")
    'triggers'
    """
    found = FIELD.match(difference)
    return found[0] if found else difference


def finite(field: str, value: Any, instead: str) -> float:
    """A declared number; DeclarationError with `instead` for anything else, nan, inf and truths too."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise DeclarationError(field, value, instead)
    return value if isinstance(value, (int, float)) else float(value)


def whole(field: str, value: Any, instead: str, *, least: int = 0, most: float = math.inf) -> int:
    """A declared whole number within bounds; DeclarationError with `instead` for anything else.

    >>> whole("rows", 100, "give 0 or more rows")
    100
    """
    number = finite(field, value, instead)
    if number != int(number) or not least <= number <= most:
        raise DeclarationError(field, value, instead)
    return int(number)


def _changed(path: str, before: Any, after: Any) -> list[str]:
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict) and _alike(before, after):
        edited = [f"{path}: its code was edited"] if before.get("code") != after.get("code") else []
        keys = sorted({*before, *after} - {"code"})
        return edited + [line for k in keys for line in _changed(f"{path}.{k}", before.get(k), after.get(k))]
    if _elementwise(before, after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for i, (b, a) in pairs for line in _changed(f"{path}[{i}]", b, a)]
    return [f"{path}: {_short(before)} -> {_short(after)}"]


def _elementwise(before: Any, after: Any) -> bool:
    """Lists of names are read best as a whole, lists of settings one by one."""
    lists = isinstance(before, list) and isinstance(after, list) and len(before) == len(after)
    return lists and any(isinstance(v, (dict, list)) for v in (*before, *after))


def _alike(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """The same sort of thing, told in more detail; otherwise the whole of it changed."""
    return all(before.get(k) == after.get(k) for k in ("kind", "env", "float", "again")) and (
        isinstance(before.get("function"), dict) or before.get("function") == after.get("function")
    )


def _short(value: Any) -> str:
    text = _named(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _named(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_named, value))}]"
    if isinstance(value, dict):
        for key in ("kind", "function"):
            if isinstance(value.get(key), str):
                return str(value[key]).rsplit(".", 1)[-1]
        if "env" in value:
            return f"rk.env({value['env']!r})"
        if set(value) == {"float"}:
            return str(value["float"])
    return repr(value)

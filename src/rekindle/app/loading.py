"""Loops files: plain Python with Loops, lists of Loops, or generators of Loops at module level."""

from __future__ import annotations

import hashlib
import inspect
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import GeneratorType, ModuleType
from typing import Any

from rekindle.errors import DeclarationError, RekindleError, SourceError, UnknownName
from rekindle.loop import Loop

__all__ = ["LoopsFile", "load_loops", "matching", "split_target"]


@dataclass(frozen=True, slots=True)
class LoopsFile:
    """What one loops file holds."""

    path: str  # absolute path; "" for loops given in Python
    text: str  # its source text
    loops: tuple[Loop, ...]  # in order of appearance
    git_commit: str | None  # commit of its repository
    git_dirty: bool | None  # is the file changed against it


def split_target(target: str) -> tuple[str, str | None]:
    """ "loops.py:churn" -> ("loops.py", "churn"); without a colon the name is None.

    >>> split_target("loops.py:churn*")
    ('loops.py', 'churn*')
    """
    head, colon, tail = target.rpartition(":")
    if colon and head.endswith(".py"):
        return head, tail
    return target, None


def load_loops(path: str | Path) -> LoopsFile:
    """Execute a loops file and collect its Loops. Raises SourceError or DeclarationError with file and line."""
    file = Path(path).absolute()
    try:
        text = file.read_text()
    except FileNotFoundError:
        raise SourceError(f"there is no loops file {path}. Make one with `rekindle init NAME`.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"the loops file {path} cannot be read: {error}") from error
    module = _execute(file, text)
    loops = tuple(_collect(vars(module).values(), module))
    if not loops:
        raise DeclarationError(
            "loops file", str(path), "it holds no Loop; declare one: churn = rk.Loop('churn', ...)"
        )
    _refuse_twins(loops, str(path))
    commit, dirty = _git(file)
    return LoopsFile(str(file), text, loops, commit, dirty)


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """Names that fit a glob, sorted. Raises UnknownName when none does."""
    known = sorted(names)
    found = [n for n in known if fnmatchcase(n, pattern)]
    if not found:
        raise UnknownName("loop", pattern, known)
    return found


def _execute(file: Path, text: str) -> ModuleType:
    name = f"rekindle_loops_{hashlib.sha256(str(file).encode()).hexdigest()[:10]}"
    spec = spec_from_file_location(name, file)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent))
    try:
        exec(compile(text, str(file), "exec"), vars(module))  # noqa: S102 - a loops file is the operator's own code
    except RekindleError:
        raise
    except Exception as error:
        raise DeclarationError(
            "loops file", f"{file}:{_line(error, file)}", f"{type(error).__name__}: {error}"
        ) from error
    finally:
        sys.path.remove(str(file.parent))
    _travels_by_value(module)
    return module


def _travels_by_value(module: ModuleType) -> None:
    """The training child cannot import a module that has no place on the path."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def _line(error: BaseException, file: Path) -> int:
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    lines = [line for frame, line in _frames(error) if frame.f_code.co_filename == str(file)]
    return lines[-1] if lines else 0


def _frames(error: BaseException) -> Iterator[tuple[Any, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _collect(values: Iterable[Any], module: ModuleType | None = None) -> Iterator[Loop]:
    for value in list(values):
        if isinstance(value, Loop):
            yield value
        elif isinstance(value, GeneratorType) or (
            isinstance(value, (list, tuple)) and any(isinstance(v, Loop) for v in value)
        ):
            yield from _collect(value)
        elif module is not None and _makes_loops(value, module):
            yield from _collect(value())


def _makes_loops(value: Any, module: ModuleType) -> bool:
    own = inspect.isgeneratorfunction(value) and value.__module__ == module.__name__
    return bool(own and not inspect.signature(value).parameters and not value.__name__.startswith("_"))


def _refuse_twins(loops: tuple[Loop, ...], where: str) -> None:
    seen: dict[str, Loop] = {}
    for loop in loops:
        if seen.setdefault(loop.name, loop) is not loop:
            raise DeclarationError(
                "name", loop.name, f"two loops of {where} bear it; names are unique in a home"
            )


def _git(file: Path) -> tuple[str | None, bool | None]:
    try:
        head = _git_says(file, "rev-parse", "HEAD")
        changed = _git_says(file, "status", "--porcelain", "--", file.name)
    except (OSError, subprocess.SubprocessError):
        return None, None
    return head, bool(changed)


def _git_says(file: Path, *words: str) -> str:
    command = ["git", "-C", str(file.parent), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

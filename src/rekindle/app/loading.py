"""Loops files: plain Python with Loops, lists of Loops, or generators of Loops at module level."""

from __future__ import annotations

import hashlib
import inspect
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import GeneratorType, ModuleType
from typing import Any

from rekindle.declaration import LOOPS_MODULE
from rekindle.errors import DeclarationError, RekindleError, SourceError, UnknownName
from rekindle.loop import Loop

__all__ = ["LoopsFile", "given_loops", "load_loops", "matching", "split_target"]


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
    with _placed(file):
        found = tuple(_collect(vars(module).values(), module))
    loops = _each_once(found, str(path))
    if not loops:
        raise DeclarationError(
            "loops file", str(path), "it holds no Loop; declare one: churn = rk.Loop('churn', ...)"
        )
    commit, dirty = _git(file)
    return LoopsFile(str(file), text, loops, commit, dirty)


def given_loops(given: Loop | Iterable[Any]) -> LoopsFile:
    """Loops given in Python: one, several, or lists and generators of them."""
    listed = [given] if isinstance(given, Loop) else list(given)
    strays = [v for v in listed if not isinstance(v, (Loop, list, tuple, GeneratorType))]
    loops = _each_once(_collect(listed), "the list")
    if strays or not loops:
        shown = strays[0] if strays else given
        raise DeclarationError("loops", shown, "give a loops file, a Loop, or a list of Loops")
    return LoopsFile("", "", loops, None, None)


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """Names that fit a glob, sorted. Raises UnknownName when none does."""
    known = sorted(names)
    found = [n for n in known if fnmatchcase(n, pattern)]
    if not found:
        raise UnknownName("loop", pattern, known)
    return found


def _execute(file: Path, text: str) -> ModuleType:
    name = f"{LOOPS_MODULE}{hashlib.sha256(str(file).encode()).hexdigest()[:10]}"
    spec = spec_from_file_location(name, file)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    with _placed(file):
        exec(compile(text, str(file), "exec"), vars(module))  # noqa: S102 - a loops file is the operator's own code
    _travels_by_value(module)
    return module


@contextmanager
def _placed(file: Path) -> Iterator[None]:
    """What lies beside a loops file can be imported by it; what goes wrong is told with its line.

    The folder stays on the path, at its end: steps of one's own are imported again by the training child.
    """
    sys.path.insert(0, str(file.parent))
    try:
        yield
    except DeclarationError as error:
        place = f"{error.instead} ({_place(error, file)})"
        raise DeclarationError(error.field, error.value, place) from error
    except RekindleError:
        raise
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}"
        raise DeclarationError("loops file", _place(error, file), said) from error
    finally:
        if str(file.parent) in sys.path:
            sys.path.remove(str(file.parent))
        if str(file.parent) not in sys.path:
            sys.path.append(str(file.parent))


def _travels_by_value(module: ModuleType) -> None:
    """The training child cannot import a module that has no place on the path."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def _place(error: BaseException, file: Path) -> str:
    """file:line of what is to be mended: of the syntax error, else of the last line of the loops file that ran."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{error.filename}:{error.lineno}"
    lines = [line for frame, line in _frames(error) if frame.f_code.co_filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _frames(error: BaseException) -> Iterator[tuple[Any, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _collect(values: Iterable[Any], module: ModuleType | None = None) -> Iterator[Loop]:
    for value in list(values):
        if isinstance(value, Loop):
            yield value
        elif isinstance(value, GeneratorType) or (isinstance(value, (list, tuple)) and _holds_loops(value)):
            yield from _collect(value)
        elif module is not None and _makes_loops(value, module):
            yield from _collect(value())


def _holds_loops(values: Sequence[Any]) -> bool:
    return any(isinstance(v, (Loop, list, tuple, GeneratorType)) for v in values)


def _makes_loops(value: Any, module: ModuleType) -> bool:
    own = inspect.isgeneratorfunction(value) and value.__module__ == module.__name__
    return bool(own and not inspect.signature(value).parameters and not value.__name__.startswith("_"))


def _each_once(loops: Iterable[Loop], where: str) -> tuple[Loop, ...]:
    """A loop may be met twice, as `churn` and in a list; two different ones of one name may not."""
    seen: dict[str, Loop] = {}
    for loop in loops:
        first = seen.setdefault(loop.name, loop)
        if first is not loop and first.declaration() != loop.declaration():
            raise DeclarationError(
                "name", loop.name, f"two loops of {where} bear it; names are unique in a home"
            )
    return tuple(seen.values())


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

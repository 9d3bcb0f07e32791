"""The job folder: all that passes between a loop's process and its training process.

    job.pkl         function, arguments                        written by the parent, removed at the end
    log.txt         everything the training printed
    progress.jsonl  one line per `progress(share, text)`
    result.pkl      what the function returned                 atomic; removed once the parent has read it
    error.json      type, message and traceback instead        atomic
    scratch/        what libraries may leave behind (joblib)          removed at the end

The folder must belong to the user who runs rekindle: pickles are read from it.
"""

from __future__ import annotations

import inspect
import json
import os
import pickle
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from rekindle.errors import TrainingError

__all__ = ["Order", "ProgressTail", "clear", "load_error", "load_result", "pack", "tell_error", "tell_result"]

JOB, LOG, PROGRESS, RESULT, ERROR = "job.pkl", "log.txt", "progress.jsonl", "result.pkl", "error.json"
SCRATCH = "scratch"
_LOG_BYTES = 64 << 20

# cloudpickle keeps one list of by-value modules per process, so two threads must not change it at once.
_by_value_lock = threading.Lock()


@dataclass(frozen=True)
class Order:
    """What the training process is told besides its folder; travels as one JSON line."""

    folder: str  # the job folder
    threads: int  # OpenMP and BLAS threads
    environment: Mapping[str, str]  # the parent's environment at the moment of the order
    cwd: str  # the parent's working folder; empty: stay
    path: Sequence[str]  # the parent's sys.path

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def clear(folder: Path) -> None:
    """Make the folder and remove what an earlier attempt left, so that it cannot be taken for this one's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (JOB, LOG, PROGRESS, RESULT, ERROR):
        (folder / name).unlink(missing_ok=True)
    tidy(folder)


def tidy(folder: Path) -> None:
    """Remove what is of no use once a training is over, as far as possible; log, progress and error stay."""
    for rest in (folder / JOB, folder / RESULT, *folder.glob("*.part")):
        with suppress(OSError):
            rest.unlink()
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def pack(
    folder: Path,
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    by_value: Sequence[ModuleType] = (),
) -> None:
    """Write job.pkl; TrainingError names whatever cannot travel and what to do about it."""
    import cloudpickle

    with _travelling_by_value(by_value):
        try:
            with _atomic(folder / JOB) as file:
                cloudpickle.dump((function, tuple(args), dict(kwargs)), file, protocol=5)
        except OSError:
            raise
        except Exception as error:
            what = _first_culprit(function, args, kwargs)
            raise TrainingError(
                f"the training cannot be sent to its own process: {what} cannot travel ({error}). Define it in "
                "a module, and open files, connections and locks inside the training instead of passing them in."
            ) from error


def unpack(folder: Path) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Read job.pkl (in the training process)."""
    try:
        with (folder / JOB).open("rb") as file:
            function, args, kwargs = pickle.load(file)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"the training process cannot import what the training needs ({error}): "
            "install it, put its folder on sys.path, or pass its module in by_value"
        ) from error
    return function, args, kwargs


def tell_result(folder: Path, result: Any, cpu_seconds: float, memory_mb: float) -> None:
    """Write result.pkl (in the training process)."""
    import cloudpickle

    try:
        with _atomic(folder / RESULT) as file:
            cloudpickle.dump((result, cpu_seconds, memory_mb), file, protocol=5)
    except OSError:
        raise
    except Exception as error:
        raise TypeError(
            f"what the training returned cannot travel back ({error}); "
            "return plain values, or save it to a file and return the file's name"
        ) from error


def tell_error(folder: Path, error: BaseException) -> None:
    """Write error.json (in the training process)."""
    told = {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    with _atomic(folder / ERROR) as file:
        file.write(json.dumps(told).encode())


def load_result(folder: Path) -> tuple[Any, float, float] | None:
    """What the function returned, its CPU seconds and its last memory in MB; None when there is no result."""
    try:
        with (folder / RESULT).open("rb") as file:
            result, cpu_seconds, memory_mb = pickle.load(file)
    except FileNotFoundError:
        return None
    except Exception as error:
        failure = TrainingError(
            f"the training finished, but its result cannot be read here ({type(error).__name__}: {error}); "
            "return plain values, or objects of modules this process can import."
        )
        failure.log = str(folder / LOG)
        raise failure from error
    return result, cpu_seconds, memory_mb


def load_error(folder: Path) -> str | None:
    """'<type>: <message>' of the exception that ended the training; None when it told none."""
    try:
        told = json.loads((folder / ERROR).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return f"{told['type']}: {told['message']}".removesuffix(": ")


def trim_log(folder: Path) -> None:
    """Empty a log that outgrew 64 MB: a training that never stops printing must not fill the disk."""
    log = folder / LOG
    with suppress(OSError):
        if log.stat().st_size > _LOG_BYTES:
            log.write_text("[older output dropped: a log holds at most 64 MB]\n")  # the child appends


class ProgressTail:
    """Reads the lines that were added to progress.jsonl since the last look."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / PROGRESS
        self._offset = 0

    def read(self) -> Iterator[tuple[float, str]]:
        """New (share, text) pairs, oldest first."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._offset)
                fresh = file.read()
        except FileNotFoundError:
            return
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            told = json.loads(line)
            yield float(told["share"]), str(told["text"])


@contextmanager
def _atomic(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when it is complete."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _travelling_by_value(modules: Sequence[ModuleType]) -> Iterator[None]:
    import cloudpickle

    with _by_value_lock:
        known = cloudpickle.list_registry_pickle_by_value()
        added = {m.__name__: m for m in modules if m.__name__ not in known and _is_listed(m)}
        for module in added.values():
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added.values():
                cloudpickle.unregister_pickle_by_value(module)


def _is_listed(module: ModuleType) -> bool:
    """A module outside sys.modules travels by value anyway, and cloudpickle refuses to register it."""
    return module.__name__ in sys.modules


def _first_culprit(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    named = [("the training function", function)]
    named += [(f"argument {i}", part) for i, part in enumerate(args, 1)]
    named += [(f"argument {key!r}", part) for key, part in kwargs.items()]
    return next((_culprit(name, part) for name, part in named if not _travels(part)), "the training")


def _culprit(name: str, thing: Any, depth: int = 4) -> str:
    """The innermost part that cannot be pickled, in words."""
    for inner_name, inner in _parts(name, thing) if depth else ():
        if not _travels(inner):
            return _culprit(inner_name, inner, depth - 1)
    return f"{name} (a {type(thing).__name__})"


def _parts(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """What a thing is made of, as far as it has names."""
    if inspect.isfunction(thing):
        with suppress(ValueError):  # a variable that is not bound yet
            used = inspect.getclosurevars(thing)
            both = {**used.globals, **used.nonlocals}
            yield from ((f"{key!r}, used by {name}", part) for key, part in both.items())
    elif inspect.ismethod(thing):
        yield f"the object of {name}", thing.__self__
    elif isinstance(thing, Mapping):
        yield from ((f"{name}[{key!r}]", part) for key, part in thing.items())
    elif isinstance(thing, list | tuple):
        yield from ((f"{name}[{i}]", part) for i, part in enumerate(thing))
    elif hasattr(thing, "__dict__") and not isinstance(thing, type | ModuleType):
        yield from ((f"{key!r} of {name}", part) for key, part in vars(thing).items())


def _travels(thing: Any) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(thing)
    except Exception:  # noqa: BLE001  (any failure at all means: no)
        return False
    return True

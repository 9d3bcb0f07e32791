"""Inside the training process: obey the limits, load the job, leave a result or an error in the job folder.

User code calls only `progress`. The rest is called once per process, by the nursery.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from rekindle.engine.job import LOG, PROGRESS, SCRATCH, Order, tell_error, tell_result, unpack
from rekindle.engine.watchdog import kill_group, memory_mb

__all__ = ["MUTE", "THREAD_VARIABLES", "die_with", "progress", "work"]

MUTE = 70  # exit code of a training process that could not even write its error

# Libraries read these when they are loaded; those the nursery holds already are set by threadpoolctl.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)

_GOODBYE_SECONDS = 2.0
_FREE_LINES = 100  # progress lines before at most ten a second are kept
_progress_file: Path | None = None
_lines, _last_line = 0, 0.0


def progress(share: float, text: str = "") -> None:
    """Tell whoever waits for this training how far it is; outside a training it does nothing.

    share: 0 to 1. After 100 calls at most ten a second are kept, so it may be called in an inner loop.
    """
    global _lines, _last_line
    if _progress_file is None:
        return
    now = time.monotonic()
    if _lines >= _FREE_LINES and now - _last_line < 0.1:
        return
    _lines, _last_line = _lines + 1, now
    line = json.dumps({"share": float(share), "text": str(text)}) + "\n"
    with _progress_file.open("ab", buffering=0) as file:
        file.write(line.encode())


def work(order: Order, life: int, pools: Any = None) -> NoReturn:
    """Carry out one job and exit: 0 with a result, 1 with an error told, 70 when neither could be written.

    life: a pipe whose other end the parent holds; when it closes this whole process group dies.
    pools: a threadpoolctl.ThreadpoolController over the libraries that are loaded already.
    """
    code = MUTE
    try:
        if hasattr(os, "setpgid"):
            with suppress(OSError):  # the leader of a session already leads its group
                os.setpgid(0, 0)
        die_with(life)
        folder = Path(order.folder)
        _open_log(folder)
        _settle(order)
        if pools is not None:
            pools.limit(limits=order.threads)
        code = _attempt(folder)
        _run_exit_functions()
    finally:
        os._exit(code)  # not sys.exit: nothing may keep a process whose result is written


def die_with(life: int) -> None:
    """Kill this process group when the other end of the pipe closes, however its holder died.

    On Linux the kernel itself sends the SIGKILL (O_ASYNC with F_SETSIG): it arrives even while a C extension
    holds the interpreter lock, and needs no thread, so user code may fork. Elsewhere a thread waits.
    """
    if sys.platform == "linux" and _ask_kernel(life):
        return
    threading.Thread(target=_wait_for_end, args=(life,), name="life line", daemon=True).start()


def _ask_kernel(life: int) -> bool:
    import fcntl

    try:
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgid(0))
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:
        return False
    if select.select([life], [], [], 0)[0]:  # it closed before we asked: no signal will come
        kill_group(os.getpgid(0))
    return True


def _wait_for_end(life: int) -> None:
    while os.read(life, 4096):
        pass
    kill_group(os.getpgid(0) if hasattr(os, "getpgid") else os.getpid())


def _open_log(folder: Path) -> None:
    """Standard output and error go to the log (appending, so that it can be cut)."""
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    # By line: whatever was printed before a crash is in the log.
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    faulthandler.enable(sys.stderr)


def _settle(order: Order) -> None:
    """Make a forked process look like a fresh one of the parent's."""
    global _progress_file
    _progress_file = Path(order.folder) / PROGRESS
    os.environ.clear()
    os.environ.update(order.environment)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(order.threads)))
    # Not in /dev/shm, its default: there the arrays of a killed training would stay for ever.
    os.environ.setdefault("JOBLIB_TEMP_FOLDER", str(Path(order.folder) / SCRATCH))
    if order.cwd:
        with suppress(OSError):
            os.chdir(order.cwd)
    sys.path[:] = order.path
    sys.path_importer_cache.clear()  # a folder the nursery did not find may be there now
    sys.modules["__main__"] = ModuleType("__main__")  # the nursery's own names are not the user's
    if "numpy.random" in sys.modules:  # else all children of one nursery would draw the same unseeded numbers
        sys.modules["numpy.random"].seed()
    if sys.platform == "linux":
        with suppress(OSError):  # when memory runs out the kernel should take the training, not the server
            Path("/proc/self/oom_score_adj").write_text("500")


def _run_exit_functions() -> None:
    """Let libraries take back what they put into shared memory (joblib does); what hangs is cut off."""
    if not hasattr(signal, "setitimer"):
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _GOODBYE_SECONDS)
    with suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()


def _attempt(folder: Path) -> int:
    """Call the function and tell how it went; 0 with a result, 1 without."""
    me = os.getpid()
    try:
        function, args, kwargs = unpack(folder)
        result = function(*args, **kwargs)
        _leave_if_copy(me)
        tell_result(folder, result, sum(os.times()[:4]), memory_mb([me]))
        return 0
    except BaseException as error:  # noqa: BLE001  (SystemExit too: a training that leaves has no result)
        _leave_if_copy(me)
        traceback.print_exc()
        tell_error(folder, error)
        return 1
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()


def _leave_if_copy(me: int) -> None:
    """A process that user code forked may come out of the function too; it has no say."""
    if os.getpid() != me:
        os._exit(0)

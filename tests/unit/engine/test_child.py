"""The training child: whatever a training does, it ends in a result or a clear error, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import gone, linux_only, numbers, until

from rekindle.engine import Limits, Nursery, job
from rekindle.errors import Stopped, TrainingError, TrainingKilled, TrainingTimeout


def test_result_and_cost_come_back(nursery: Nursery, tmp_path: Path) -> None:
    def burn(a: int, *, b: int) -> int:
        for _ in range(200_000):
            pass
        return a + b

    report = nursery.run(burn, 2, b=3, folder=tmp_path / "new" / "folder")
    assert report.result == 5
    assert report.seconds > 0
    assert report.cpu_seconds > 0
    assert report.peak_mb > 1
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == ["log.txt"]


def test_progress_is_forwarded_in_order(nursery: Nursery, tmp_path: Path) -> None:
    def work() -> None:
        from rekindle.engine.child import progress

        progress(0.25, "a quarter")
        progress(1.0)

    seen: list[tuple[float, str]] = []
    nursery.run(work, folder=tmp_path, on_progress=lambda share, text: seen.append((share, text)))
    assert seen == [(0.25, "a quarter"), (1.0, "")]


def test_progress_in_an_inner_loop_stays_small(forked: Nursery, tmp_path: Path) -> None:
    def work() -> None:
        from rekindle.engine.child import progress

        for i in range(5000):
            progress(i / 5000, "row")

    forked.run(work, folder=tmp_path)
    assert len((tmp_path / "progress.jsonl").read_text().splitlines()) < 500


def test_progress_outside_a_training_does_nothing() -> None:
    from rekindle.engine import progress

    progress(0.5, "nobody listens")


def test_an_error_in_on_progress_ends_the_training(forked: Nursery, tmp_path: Path) -> None:
    def work(folder: Path) -> None:
        from rekindle.engine.child import progress

        (folder / "pid").write_text(f"{os.getpid()}.")
        progress(0.5)
        time.sleep(60)

    def fail(share: float, text: str) -> None:
        raise KeyError(share)

    with pytest.raises(KeyError):
        forked.run(work, tmp_path, folder=tmp_path, on_progress=fail)
    assert gone(numbers(tmp_path / "pid")[0])


def test_an_old_result_is_not_taken_for_the_new_one(nursery: Nursery, tmp_path: Path) -> None:
    job.tell_result(tmp_path, "old", 1.0, 1.0)
    job.tell_error(tmp_path, ValueError("old"))
    with pytest.raises(TrainingError, match="exit code 0 and left no result"):
        nursery.run(lambda: os._exit(0), folder=tmp_path)


def raises() -> None:
    print("before the error")
    raise ValueError("the label column is empty")


def test_an_exception_comes_back_in_words_and_in_the_log(nursery: Nursery, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^ValueError: the label column is empty") as caught:
        nursery.run(raises, folder=tmp_path)
    assert type(caught.value) is TrainingError
    assert caught.value.log == str(tmp_path / "log.txt")
    assert caught.value.log in str(caught.value)
    log = (tmp_path / "log.txt").read_text()
    assert "before the error" in log
    assert "Traceback" in log


@pytest.mark.parametrize(
    ("end", "kind", "words"),
    [
        (lambda: os._exit(3), TrainingError, "exit code 3 and left no result"),
        (lambda: sys.exit(0), TrainingError, "SystemExit: 0"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), TrainingKilled, "killed by SIGSEGV"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), TrainingKilled, "ran out of memory"),
        (lambda: os.killpg(0, signal.SIGTERM), TrainingKilled, "killed by SIGTERM"),
        (lambda: threading.Lock(), TrainingError, "cannot travel back"),
        (lambda: 1 / 0, TrainingError, "ZeroDivisionError: division by zero"),
    ],
    ids=["exit3", "sys.exit", "segfault", "sigkill", "sigterm-group", "lock", "error"],
)
def test_every_end_has_its_words(
    nursery: Nursery, tmp_path: Path, end: Callable[[], Any], kind: type[TrainingError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        nursery.run(end, folder=tmp_path)
    assert caught.value.log
    assert nursery.run(len, "alive", folder=tmp_path).result == 5


def test_a_crash_leaves_its_traceback_in_the_log(forked: Nursery, tmp_path: Path) -> None:
    def crash() -> None:
        print("last words")
        os.kill(os.getpid(), signal.SIGSEGV)

    with pytest.raises(TrainingKilled):
        forked.run(crash, folder=tmp_path)
    log = (tmp_path / "log.txt").read_text()
    assert "last words" in log
    assert "Segmentation fault" in log


def hangs(folder: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder / "pids").write_text(f"{os.getpid()} {grandchild.pid}.")
    time.sleep(60)


def test_a_hang_ends_at_the_time_limit_with_all_it_started(nursery: Nursery, tmp_path: Path) -> None:
    with pytest.raises(TrainingTimeout, match=r"limit of 0.5 s .*train_seconds"):
        nursery.run(hangs, tmp_path, folder=tmp_path, limits=Limits(seconds=0.5))
    for pid in numbers(tmp_path / "pids"):
        assert until(lambda pid=pid: gone(pid))


def test_a_training_that_is_stopped_ends_with_all_it_started(nursery: Nursery, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        nursery.run(hangs, tmp_path, folder=tmp_path, stop=(tmp_path / "pids").exists)
    for pid in numbers(tmp_path / "pids"):
        assert until(lambda pid=pid: gone(pid))


def test_stopped_before_it_began(nursery: Nursery, tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="before"):
        nursery.run(raises, folder=tmp_path / "never", stop=lambda: True)
    assert not (tmp_path / "never").exists()


def test_a_sigterm_to_the_whole_service_is_a_stop(nursery: Nursery, tmp_path: Path) -> None:
    asked = iter([False])  # before the start; then the parent's own handler has run
    with pytest.raises(Stopped):
        nursery.run(
            lambda: os.kill(os.getpid(), signal.SIGTERM), folder=tmp_path, stop=lambda: next(asked, True)
        )


def test_what_a_finished_training_leaves_running_ends_with_it(nursery: Nursery, tmp_path: Path) -> None:
    def work() -> int:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid

    pid = nursery.run(work, folder=tmp_path).result
    assert until(lambda: gone(pid))


@linux_only
def test_a_daemon_in_a_session_of_its_own_ends_too(forked: Nursery, tmp_path: Path) -> None:
    def work() -> int:
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        return subprocess.Popen(command, start_new_session=True).pid

    pid = forked.run(work, folder=tmp_path).result
    assert until(lambda: gone(pid))


def test_a_copy_that_leaves_the_function_has_no_say(nursery: Nursery, tmp_path: Path) -> None:
    def work() -> str:
        if os.fork() == 0:
            return "copy"
        os.wait()
        os._exit(3)

    with pytest.raises(TrainingError, match="exit code 3 and left no result"):
        nursery.run(work, folder=tmp_path)


def test_a_training_that_prints_a_lot_and_reads_nothing(nursery: Nursery, tmp_path: Path) -> None:
    def work() -> str:
        for _ in range(20_000):
            print("x" * 100)
        os.write(2, b"the end")
        return sys.stdin.read()

    assert nursery.run(work, folder=tmp_path).result == ""
    assert (tmp_path / "log.txt").read_bytes().endswith(b"the end")


def test_a_training_that_closes_its_standard_streams(nursery: Nursery, tmp_path: Path) -> None:
    def work() -> str:
        for stream in (0, 1, 2):
            os.close(stream)
        return "fine"

    assert nursery.run(work, folder=tmp_path).result == "fine"


def test_exit_functions_run_and_cannot_hang(nursery: Nursery, tmp_path: Path) -> None:
    def work(folder: Path) -> str:
        import atexit

        from rekindle.engine import child

        child._GOODBYE_SECONDS = 0.2
        atexit.register(time.sleep, 60)
        atexit.register((folder / "tidied").touch)
        (scratch := Path(os.environ["JOBLIB_TEMP_FOLDER"])).mkdir()
        (scratch / "array").touch()
        return "done"

    assert nursery.run(work, tmp_path, folder=tmp_path).result == "done"
    assert (tmp_path / "tidied").exists()
    assert not (tmp_path / "scratch").exists()


def test_a_folder_that_cannot_be_written(forked: Nursery, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written"):
        forked.run(raises, folder=tmp_path / "file" / "job")


def test_a_folder_that_vanishes(nursery: Nursery, tmp_path: Path) -> None:
    def work(folder: Path) -> None:
        import shutil

        shutil.rmtree(folder)

    with pytest.raises(TrainingError, match="could write nothing"):
        nursery.run(work, tmp_path / "job", folder=tmp_path / "job")


LIFE = """
import os, re, sys, time
from rekindle.engine import child
if "thread" in sys.argv:
    child._ask_kernel = lambda life: False
child.die_with(os.dup(0))
print("ready", flush=True)
if "thread" not in sys.argv:
    re.match(r"(a+)+$", "a" * 60 + "b")  # holds the interpreter lock for years
time.sleep(60)
"""


@pytest.mark.parametrize("how", [pytest.param("kernel", marks=linux_only), "thread"])
def test_a_process_dies_with_the_other_end_of_its_life_line(how: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LIFE, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.close()
        try:
            assert process.wait(5) == -signal.SIGKILL
        finally:
            process.kill()

"""The nursery process: nothing leaks, it is replaced when it dies, and odd libraries do not disturb it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from processes import gone, linux_only, numbers, until

from rekindle.engine import Nursery
from rekindle.errors import Stopped, TrainingError, TrainingKilled

HERE = sys.modules[__name__]


@linux_only
def test_fifty_runs_leave_no_process_and_no_file_open(forked: Nursery, tmp_path: Path) -> None:
    def count() -> tuple[int, int, int, int]:
        mother, me = psutil.Process(os.getppid()), psutil.Process()
        return mother.pid, mother.num_fds(), len(mother.children()), me.num_fds()

    before = forked.run(count, folder=tmp_path).result
    here = psutil.Process().num_fds(), len(psutil.Process().children()), threading.active_count()
    for i in range(50):
        if i % 5 == 0:
            with pytest.raises(TrainingError):
                forked.run(lambda: os._exit(1), folder=tmp_path)
        else:
            forked.run(int, folder=tmp_path)
    assert forked.run(count, folder=tmp_path).result == before
    assert (psutil.Process().num_fds(), len(psutil.Process().children()), threading.active_count()) == here


def test_two_threads_run_two_children_at_once(nursery: Nursery, tmp_path: Path) -> None:
    def meet(mine: Path, other: Path) -> bool:
        mine.touch()
        deadline = time.monotonic() + 10
        while not other.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        return other.exists()

    a, b = tmp_path / "a", tmp_path / "b"
    with ThreadPoolExecutor(2) as threads:
        calls = [(a, b, tmp_path / "1"), (b, a, tmp_path / "2")]
        found = [threads.submit(nursery.run, meet, x, y, folder=folder) for x, y, folder in calls]
        assert [future.result().result for future in found] == [True, True]


def test_a_nursery_that_dies_is_replaced(tmp_path: Path) -> None:
    with Nursery(["cloudpickle"], by_value=[HERE]) as nursery:
        first = nursery.run(os.getppid, folder=tmp_path).result
        os.kill(first, signal.SIGKILL)
        second = nursery.run(os.getppid, folder=tmp_path).result
        assert second != first

        def kill_mother(folder: Path) -> None:
            (folder / "pid").write_text(f"{os.getpid()}.")
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)

        with pytest.raises(TrainingKilled, match="nursery process died"):
            nursery.run(kill_mother, tmp_path, folder=tmp_path)
        assert until(lambda: gone(numbers(tmp_path / "pid")[0]))
        assert nursery.run(os.getppid, folder=tmp_path).result != second


def test_closing_stops_what_runs(tmp_path: Path) -> None:
    def hangs(folder: Path) -> None:
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (folder / "pids").write_text(f"{os.getpid()} {grandchild.pid}.")
        time.sleep(60)

    nursery = Nursery(["cloudpickle"], by_value=[HERE])
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(nursery.run, hangs, tmp_path, folder=tmp_path)
        pids = numbers(tmp_path / "pids")
        nursery.close()
        with pytest.raises(Stopped):
            future.result(10)
    assert until(lambda: all(map(gone, pids)))
    with pytest.raises(Stopped, match="closed"):
        nursery.run(int, folder=tmp_path)
    nursery.close()  # twice is fine


def test_a_nursery_that_is_forgotten_ends(tmp_path: Path) -> None:
    nursery = Nursery(["cloudpickle"])
    mother = nursery.run(os.getppid, folder=tmp_path).result
    del nursery
    assert until(lambda: gone(mother))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os\ndef fork(): raise OSError('no more processes')\nos.fork = fork", "no more processes"),
        ("import os\nos.write(2, b'bad library')\nos._exit(5)", "died twice. It said: bad library"),
    ],
    ids=["cannot-fork", "dies-at-start"],
)
def test_a_training_that_cannot_start(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "odd.py").write_text(source)
    with (
        Nursery(["odd"], [str(tmp_path)]) as nursery,
        pytest.raises(TrainingError, match=f"could not start.*{words}"),
    ):
        nursery.run(int, folder=tmp_path / "job")


def test_a_folder_on_the_path_may_appear_later(tmp_path: Path) -> None:
    later = tmp_path / "later"

    def work() -> int:
        import late_module  # type: ignore[import-not-found]

        return int(late_module.VALUE)

    with Nursery(["not_there", "cloudpickle"], [str(later)], by_value=[HERE]) as nursery:
        nursery.run(int, folder=tmp_path / "job")
        later.mkdir()
        (later / "late_module.py").write_text("VALUE = 7\n")
        assert nursery.run(work, folder=tmp_path / "job").result == 7


@linux_only
def test_the_nursery_has_one_thread_and_its_own_session(forked: Nursery, tmp_path: Path) -> None:
    def look() -> tuple[int, str, int]:
        mother = psutil.Process(os.getppid())
        return mother.num_threads(), mother.environ()["OMP_NUM_THREADS"], os.getsid(mother.pid)

    threads, pool, session = forked.run(look, folder=tmp_path).result
    assert (threads, pool) == (1, "1")
    assert session != os.getsid(0)  # Ctrl-C in the terminal is the parent's to answer


@linux_only
def test_a_closed_nursery_holds_no_file(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    with Nursery(["cloudpickle"]) as nursery:
        nursery.run(int, folder=tmp_path)
    assert psutil.Process().num_fds() == before


def test_odd_libraries_do_not_disturb(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text("print('hello' * 100_000, flush=True); import sys; sys.stdin.read()")
    (tmp_path / "broken.py").write_text("raise ValueError('half installed')")
    with Nursery(["noisy", "broken", "absent", "cloudpickle"], [str(tmp_path)]) as nursery:
        nursery.warm()
        assert nursery.run(int, folder=tmp_path / "job").result == 0


def test_a_sigterm_to_the_nursery_does_not_take_the_training(forked: Nursery, tmp_path: Path) -> None:
    def work() -> int:
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(0.2)
        return os.getppid()

    assert forked.run(work, folder=tmp_path).result == forked.run(os.getppid, folder=tmp_path).result

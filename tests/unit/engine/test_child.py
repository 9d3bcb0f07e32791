"""The training child: whatever a training does, it ends in a result or a clear error, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from rekindle.engine import Limits, Nursery, job
from rekindle.errors import DeclarationError, Stopped, TrainingError, TrainingKilled, TrainingTimeout

HERE = sys.modules[__name__]
PRELOAD = ("cloudpickle", "threadpoolctl", "numpy.random")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def until(true: Callable[[], object], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.01)
    return bool(true())


def numbers(file: Path) -> list[int]:
    assert until(lambda: file.exists() and file.read_text().endswith("."))
    return [int(word) for word in file.read_text().rstrip(".").split()]


@pytest.fixture(scope="module")
def forked() -> Iterator[Nursery]:
    with Nursery(PRELOAD, by_value=[HERE]) as nursery:
        yield nursery


@pytest.fixture(scope="module")
def fresh() -> Iterator[Nursery]:
    with Nursery(PRELOAD, by_value=[HERE], fork=False) as nursery:
        yield nursery


@pytest.fixture(params=["forked", "fresh"])
def nursery(request: pytest.FixtureRequest) -> Nursery:
    found: Nursery = request.getfixturevalue(request.param)
    return found


# --- what comes back ------------------------------------------------------------------------------------


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


# --- how it can end -------------------------------------------------------------------------------------


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


def test_a_log_is_cut_when_it_grows_too_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(job, "_LOG_BYTES", 1000)
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        log.write(b"x" * 2000)
        job.trim_log(tmp_path)
        log.write(b"new")
    assert (tmp_path / "log.txt").read_text() == "[older output dropped: a log holds at most 64 MB]\nnew"


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


# --- limits ---------------------------------------------------------------------------------------------


def hog(megabytes: int) -> None:
    kept = b"x" * (megabytes * 1_000_000)
    time.sleep(60)
    del kept


def test_the_memory_limit(nursery: Nursery, tmp_path: Path) -> None:
    limit = int(nursery.run(int, folder=tmp_path).peak_mb) + 150
    with pytest.raises(TrainingKilled, match=rf"more than its limit of {limit} MB.*train_memory_mb"):
        nursery.run(hog, 300, folder=tmp_path, limits=Limits(memory_mb=limit))
    assert nursery.run(int, folder=tmp_path, limits=Limits(memory_mb=limit)).result == 0


def test_the_memory_of_grandchildren_counts(forked: Nursery, tmp_path: Path) -> None:
    def work() -> None:
        subprocess.run([sys.executable, "-c", "b = b'x' * 200_000_000; import time; time.sleep(60)"])

    limit = int(forked.run(int, folder=tmp_path).peak_mb) + 100
    with pytest.raises(TrainingKilled, match="more than its limit"):
        forked.run(work, folder=tmp_path, limits=Limits(memory_mb=limit))


@linux_only
def test_memory_shared_with_the_nursery_counts_in_proportion(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text("kept = b'x' * 300_000_000\n")
    with Nursery(["big"], [str(tmp_path)]) as nursery:
        assert nursery.run(int, folder=tmp_path / "job").peak_mb < 250


@pytest.mark.parametrize("threads", [1, 2])
def test_one_number_of_threads_for_all_libraries(nursery: Nursery, tmp_path: Path, threads: int) -> None:
    def work() -> tuple[str, set[int]]:
        import numpy  # noqa: F401  (loads its BLAS)
        import threadpoolctl

        return os.environ["OMP_NUM_THREADS"], {
            pool["num_threads"] for pool in threadpoolctl.threadpool_info()
        }

    report = nursery.run(work, folder=tmp_path, limits=Limits(threads=threads))
    assert report.result == (str(threads), {threads})


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"memory_mb": -1}, {"threads": 0}])
def test_limits_must_make_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=next(iter(wrong))):
        Limits(**wrong)


@linux_only
def test_when_memory_runs_out_the_kernel_takes_the_training_first(nursery: Nursery, tmp_path: Path) -> None:
    assert nursery.run(Path.read_text, Path("/proc/self/oom_score_adj"), folder=tmp_path).result == "500\n"


# --- what travels ---------------------------------------------------------------------------------------


def test_what_cannot_travel_is_named(forked: Nursery, tmp_path: Path) -> None:
    lock = threading.Lock()

    class Trainer:
        def __init__(self) -> None:
            self.guard = lock

        def fit(self) -> None: ...

    with (tmp_path / "out").open("w") as out:
        for call, named in [
            ((lambda: lock.acquire(),), "'lock', used by the training function"),
            ((print, 1, {"log": out}), r"argument 2\['log'\]"),
            ((Trainer().fit,), "'guard' of the object of the training function"),
            ((print, (print, 1, [lock])), r"argument 1\[2\]\[0\]"),
        ]:
            with pytest.raises(TrainingError, match=rf"{named} \(a .*Define it in a module, and open files"):
                forked.run(*call, folder=tmp_path / "job")


def module(name: str) -> ModuleType:
    made = ModuleType(name)
    exec("class Model:\n    pass\n\ndef fit(x):\n    m = Model()\n    m.x = x\n    return m\n", made.__dict__)  # noqa: S102
    return made


def test_a_module_the_child_cannot_import_travels_by_value(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cloudpickle

    loops = module("loops_of_a_test")
    assert nursery.run(loops.fit, 1, folder=tmp_path).result.x == 1  # not even listed: by value anyway
    monkeypatch.setitem(sys.modules, loops.__name__, loops)
    with pytest.raises(TrainingError, match=r"cannot import .*loops_of_a_test.*by_value"):
        nursery.run(loops.fit, 2, folder=tmp_path)
    found = nursery.run(loops.fit, 3, folder=tmp_path, by_value=[loops]).result
    assert isinstance(found, loops.Model)
    assert loops.__name__ not in cloudpickle.list_registry_pickle_by_value()


def test_functions_and_classes_of_main_travel_and_main_does_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            from pathlib import Path
            from rekindle.engine import Nursery

            class Model:
                def __init__(self, x): self.x = x

            def fit(x): return Model(x + 1)

            with Path("ran").open("a") as file: file.write("once ")
            for fork in (True, False):
                with Nursery(["cloudpickle"], fork=fork) as nursery:
                    model = nursery.run(fit, 1, folder=Path("job")).result
                    assert type(model) is Model and model.x == 2
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "ran").read_text() == "once "


def test_the_child_sees_the_parent_as_it_is_now(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nursery.warm()
    (tmp_path / "fresh_module.py").write_text("VALUE = 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SET_LATER", "yes")

    def work() -> tuple[str, str, int]:
        import fresh_module  # type: ignore[import-not-found]

        return os.getcwd(), os.environ["SET_LATER"], fresh_module.VALUE

    assert nursery.run(work, folder=tmp_path / "job").result == (str(tmp_path), "yes", 7)


def test_two_children_do_not_draw_the_same_unseeded_numbers(forked: Nursery, tmp_path: Path) -> None:
    def draw() -> float:
        import numpy as np

        return float(np.random.random())

    assert forked.run(draw, folder=tmp_path).result != forked.run(draw, folder=tmp_path).result


# --- the nursery itself ---------------------------------------------------------------------------------


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
    def look() -> tuple[int, int]:
        return psutil.Process(os.getppid()).num_threads(), os.getsid(os.getppid())

    threads, session = forked.run(look, folder=tmp_path).result
    assert threads == 1
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


# --- the life line --------------------------------------------------------------------------------------

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

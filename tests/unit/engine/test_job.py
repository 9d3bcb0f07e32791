"""The job folder: what travels to the training process and back, and what is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import ModuleType

import pytest

from rekindle.engine import Nursery, job
from rekindle.errors import TrainingError


def test_a_log_is_cut_when_it_grows_too_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(job, "_LOG_BYTES", 1000)
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        log.write(b"x" * 2000)
        job.trim_log(tmp_path)
        log.write(b"new")
    assert (tmp_path / "log.txt").read_text() == "[older output dropped: a log holds at most 64 MB]\nnew"


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

"""Limits of a training: memory of the whole group, threads, and what the kernel takes first."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from processes import linux_only

from rekindle.engine import Limits, Nursery
from rekindle.errors import DeclarationError, TrainingKilled


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

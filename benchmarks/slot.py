"""What the slot costs, against a plain wrapper and against a lock held during predict. Prints Markdown.

    python benchmarks/slot.py > benchmarks/results/slot.md

The contenders take turns within each round and the median over the rounds is shown, so a neighbour that slows the
machine slows all of them. Trust the ratios more than the absolute numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from rekindle.serving import Answer, Slot

Table = dict[str, list[float]]


class Quick:
    """Answers at once: what is left is the handle's own cost."""

    probe: Any = (0,)

    def __init__(self, version: int) -> None:
        self.version, self.label = version, f"v{version}"

    def predict(self, rows: Any) -> Any:
        return rows


class Waiting(Quick):
    """Waits 5 ms away from the interpreter's lock, like a GPU, a remote model or a feature look-up."""

    probe = None

    def predict(self, rows: Any) -> Any:
        time.sleep(0.005)
        return rows


class Scaled(Quick):
    """Model k undoes scaler k; with any other scaler the answer is wrong."""

    probe = (7,)

    def scale(self, x: float) -> float:
        return x * self.version

    def model(self, z: float) -> tuple[float, int]:
        return z / self.version, self.version

    def predict(self, rows: Any) -> Any:
        return [self.model(self.scale(x)) for x in rows]


class Plain:
    """A wrapper without any swap."""

    def __init__(self, model: Quick) -> None:
        self.model = model

    def predict(self, rows: Any) -> Any:
        return self.model.predict(rows)

    async def apredict(self, rows: Any) -> Any:
        return self.model.predict(rows)


class Mutex(Plain):
    """Holds the swap's lock during predict."""

    def __init__(self, model: Quick) -> None:
        super().__init__(model)
        self.lock = threading.Lock()
        self.alock = asyncio.Lock()

    def predict(self, rows: Any) -> Any:
        with self.lock:
            return self.model.predict(rows)

    async def apredict(self, rows: Any) -> Any:
        async with self.alock:
            return self.model.predict(rows)

    def swap(self, version: int) -> None:
        with self.lock:
            self.model = type(self.model)(version)


class ThreeFields:
    """Scaler, model and version stored one after another."""

    def __init__(self) -> None:
        self.swap(1)

    def swap(self, version: int) -> None:
        new = Scaled(version)
        self.scale = new.scale
        self.model = new.model
        self.version = new.version

    def answer(self, rows: Any) -> Answer:
        prediction = [self.model(self.scale(x)) for x in rows]
        return Answer(prediction, self.version, "")


def filled(load: Callable[[int], Quick]) -> Slot:
    slot = Slot(load)
    slot.swap(1)
    return slot


def per_call(rounds: int, calls: int) -> Table:
    """Nanoseconds per call from one thread."""
    slot = filled(Quick)
    contenders = {
        "plain wrapper": Plain(Quick(1)).predict,
        "Slot.predict": slot.predict,
        "Slot.answer": slot.answer,
        "mutex held": Mutex(Quick(1)).predict,
    }
    table: Table = {name: [] for name in contenders}
    rows = [0]
    for _ in range(rounds):
        for name, predict in contenders.items():
            start = time.perf_counter_ns()
            for _ in range(calls):
                predict(rows)
            table[name].append((time.perf_counter_ns() - start) / calls)
    slot.close()
    return table


def per_await(rounds: int, calls: int) -> Table:
    """Nanoseconds per await in one event loop."""
    slot = filled(Quick)
    contenders = {
        "plain wrapper": Plain(Quick(1)).apredict,
        "Slot.apredict": slot.apredict,
        "asyncio.Lock held": Mutex(Quick(1)).apredict,
    }
    table: Table = {name: [] for name in contenders}

    async def timed(apredict: Callable[[Any], Any]) -> float:
        rows = [0]
        start = time.perf_counter_ns()
        for _ in range(calls):
            await apredict(rows)
        return (time.perf_counter_ns() - start) / calls

    for _ in range(rounds):
        for name, apredict in contenders.items():
            table[name].append(asyncio.run(timed(apredict)))
    slot.close()
    return table


def hammered(
    predict: Callable[[Any], Any], swap: Callable[[int], None], threads: int, seconds: float
) -> list[float]:
    """Sorted latencies in ms of all calls from many threads, while versions are swapped every 50 ms."""
    end = time.perf_counter() + seconds
    latencies: list[list[float]] = [[] for _ in range(threads)]

    def work(mine: list[float]) -> None:
        while (start := time.perf_counter()) < end:
            predict([0])
            mine.append((time.perf_counter() - start) * 1e3)

    workers = [threading.Thread(target=work, args=(mine,)) for mine in latencies]
    for worker in workers:
        worker.start()
    version = 1
    while time.perf_counter() < end:
        time.sleep(0.05)
        version += 1
        swap(version)
    for worker in workers:
        worker.join()
    return sorted(one for mine in latencies for one in mine)


def many_threads(rounds: int, threads: int, seconds: float) -> dict[str, list[tuple[float, float, float]]]:
    """Calls per second, median and 99th percentile in ms, per round."""
    table: dict[str, list[tuple[float, float, float]]] = {"Slot.predict": [], "mutex held": []}
    for _ in range(rounds):
        slot, mutex = filled(Waiting), Mutex(Waiting(1))
        for name, predict, swap in (
            ("Slot.predict", slot.predict, slot.swap),
            ("mutex held", mutex.predict, mutex.swap),
        ):
            ms = hammered(predict, swap, threads, seconds)
            table[name].append((len(ms) / seconds, ms[len(ms) // 2], ms[int(len(ms) * 0.99)]))
        slot.close()
    return table


def mixed(answer: Callable[[Any], Answer], swap: Callable[[int], None], calls: int) -> tuple[int, int]:
    """Swaps and wrong answers while 8 threads answer and another swaps without a pause."""
    wrong = [0] * 8

    def read(thread: int) -> None:
        for _ in range(calls // 8):
            got = answer([7.0])
            wrong[thread] += got.prediction[0] != (7.0, got.version)

    readers = [threading.Thread(target=read, args=(thread,)) for thread in range(8)]
    for reader in readers:
        reader.start()
    swaps = 0
    while any(reader.is_alive() for reader in readers):
        swaps += 1
        swap(1 + swaps % 50)
    return swaps, sum(wrong)


def print_costs(title: str, table: Table) -> None:
    base = statistics.median(table["plain wrapper"])
    print(f"\n## {title}\n\n| handle | median ns | over the plain wrapper | x |\n|---|---|---|---|")
    for name, times in table.items():
        median = statistics.median(times)
        print(f"| {name} | {median:.0f} | {median - base:+.0f} ns | {median / base:.2f} |")


def print_threads(table: dict[str, list[tuple[float, float, float]]], threads: int) -> None:
    print(f"\n## {threads} threads, a model that waits 5 ms off the interpreter's lock, a swap every 50 ms\n")
    print("| handle | calls/s | p50 ms | p99 ms |\n|---|---|---|---|")
    rates = {}
    for name, rounds in table.items():
        rate, p50, p99 = (statistics.median(column) for column in zip(*rounds, strict=True))
        rates[name] = rate
        print(f"| {name} | {rate:.0f} | {p50:.1f} | {p99:.1f} |")
    print(f"\nThe slot serves {rates['Slot.predict'] / rates['mutex held']:.0f} times as many.")


def print_mixed(calls: int) -> None:
    print("\n## Mixed answers: 8 threads, swapping without a pause, switch interval 50 us\n")
    print("| handle | calls | swaps | mixed answers |\n|---|---|---|---|")
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    naive, slot = ThreeFields(), filled(Scaled)
    for name, answer, swap in (
        ("Slot.answer", slot.answer, slot.swap),
        ("three fields stored one by one", naive.answer, naive.swap),
    ):
        swaps, wrong = mixed(answer, swap, calls)
        print(f"| {name} | {calls} | {swaps} | {wrong} |")
    sys.setswitchinterval(usual)
    slot.close()


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--rounds", type=int, default=15)
    ask.add_argument("--calls", type=int, default=200_000, help="calls per round and handle")
    ask.add_argument("--threads", type=int, default=64)
    rounds, calls, threads = (vars(ask.parse_args())[name] for name in ("rounds", "calls", "threads"))
    load = "/".join(f"{one:.1f}" for one in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    print("# Slot\n\nMade by `python benchmarks/slot.py`; the method stands at its top.\n")
    print(
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}; ",
        end="",
    )
    print(f"load average at the start {load}; median of {rounds} rounds of {calls} calls.")
    print_costs("One call, a model that answers at once", per_call(rounds, calls))
    print_costs("One await, the same model, in asyncio", per_await(rounds, calls // 4))
    print_threads(many_threads(3, threads, 2.0), threads)
    print_mixed(1_000_000)


if __name__ == "__main__":
    main()

"""The slot under real threads and a real event loop: answers never mix, memory comes back, followers let go."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from rekindle.errors import RekindleError, StaleSwap
from rekindle.serving import Answer, Slot

SECONDS = 20.0  # no wait in here ever takes this long unless something hangs
THREADS = 8


class Scaled:
    """Model k undoes scaler k; with any other scaler the answer is wrong."""

    probe = (7,)

    def __init__(self, version: int) -> None:
        self.version, self.label = version, f"v{version}"

    def scale(self, x: int) -> int:
        return x * self.version

    def model(self, z: int) -> tuple[float, int]:
        return z / self.version, self.version

    def predict(self, rows: tuple[int, ...]) -> list[tuple[float, int]]:
        return [self.model(self.scale(x)) for x in rows]


class ThreeFields:
    """The naive handle: scaler, model and version stored one after another."""

    def __init__(self) -> None:
        self.swap(1)

    def swap(self, version: int) -> None:
        new = Scaled(version)
        self.scale = new.scale
        self.model = new.model
        self.version = new.version

    def answer(self, rows: tuple[int, ...]) -> Answer:
        prediction = [self.model(self.scale(x)) for x in rows]
        return Answer(prediction, self.version, "")


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns 100 times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(usual)


def count_calls(
    answer: Callable[[tuple[int, ...]], Answer], swap: Callable[[int], None], calls: int
) -> tuple[int, int, int]:
    """Answer from 8 threads while swapping without a pause, up to the first mixed answer: calls, swaps, mixed."""
    mixed: list[Answer] = []
    done = [0] * THREADS

    def read(thread: int) -> None:
        for _ in range(calls // THREADS):
            done[thread] += 1
            got = answer((7,))
            if got.prediction[0] != (7.0, got.version):
                mixed.append(got)
            if mixed:
                break

    readers = [threading.Thread(target=read, args=(thread,)) for thread in range(THREADS)]
    for reader in readers:
        reader.start()
    swaps = 0
    for version in itertools.cycle(range(2, 50)):
        if not any(reader.is_alive() for reader in readers):
            break
        swap(version)
        swaps += 1
    return sum(done), swaps, len(mixed)


@pytest.mark.usefixtures("eager_threads")
def test_no_answer_in_a_million_is_mixed() -> None:
    slot = Slot(Scaled, keep=16)
    slot.swap(1)
    calls, swaps, mixed = count_calls(slot.answer, slot.swap, 1_000_000)
    slot.close()
    assert (calls, mixed) == (1_000_000, 0)
    assert swaps > 10


@pytest.mark.usefixtures("eager_threads")
def test_three_fields_fail_the_same_test() -> None:
    naive = ThreeFields()
    _, _, mixed = count_calls(naive.answer, naive.swap, 1_000_000)
    assert mixed > 0


def eventually(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + SECONDS
    while not true() and time.monotonic() < end:
        time.sleep(0.002)
    return true()


def test_a_waiting_model_serves_many_threads_at_a_time() -> None:
    together = threading.Barrier(THREADS)

    class Meeting(Scaled):
        probe = None  # type: ignore[assignment]

        def predict(self, rows: tuple[int, ...]) -> list[tuple[float, int]]:
            together.wait(SECONDS)  # only passes when all threads are inside predict
            return []

    slot = Slot(Meeting)
    slot.swap(1)
    readers = [threading.Thread(target=slot.predict, args=((7,),)) for _ in range(THREADS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(SECONDS)
    assert not together.broken
    slot.close()


def test_the_event_loop_ticks_on_while_a_swap_loads() -> None:
    ticked = threading.Event()

    def load(version: int) -> Scaled:
        if version == 2 and not ticked.wait(SECONDS):
            raise AssertionError("the loop stood still while the model loaded")
        return Scaled(version)

    async def tick() -> None:
        for _ in range(20):
            assert (await slot.aanswer((7,))).version == 1
            await asyncio.sleep(0)
        ticked.set()

    async def main() -> None:
        await slot.aswap(1)
        await asyncio.gather(slot.aswap(2, expect=1), tick())
        assert (await slot.aanswer((7,))).version == 2
        with pytest.raises(StaleSwap):
            await slot.aswap(3, expect=1)

    slot = Slot(load)
    asyncio.run(main())
    slot.close()


def test_a_cancelled_swap_changes_nothing() -> None:
    begun, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow(Scaled):
        def close(self) -> None:
            closed.set()

    def load(version: int) -> Scaled:
        if version == 1:
            return Scaled(version)
        begun.set()
        assert go_on.wait(SECONDS)
        return Slow(version)

    async def main() -> None:
        await slot.aswap(1)
        swap = asyncio.create_task(slot.aswap(2))
        await asyncio.to_thread(begun.wait, SECONDS)
        swap.cancel()
        with pytest.raises(asyncio.CancelledError):
            await swap
        go_on.set()
        assert await asyncio.to_thread(closed.wait, SECONDS)

    slot = Slot(load)
    asyncio.run(main())
    assert slot.version == 1
    slot.close()


def test_a_cancelled_call_keeps_its_model_until_its_thread_is_done() -> None:
    entered, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    late: list[bool] = []

    class Slow(Scaled):
        probe = None  # type: ignore[assignment]

        def predict(self, rows: tuple[int, ...]) -> list[tuple[float, int]]:
            entered.set()
            go_on.wait(SECONDS)
            late.append(closed.is_set())
            return []

        def close(self) -> None:
            closed.set()

    async def main() -> None:
        call = asyncio.create_task(slot.apredict((7,)))
        await asyncio.to_thread(entered.wait, SECONDS)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    slot = Slot(lambda version: Slow(version) if version == 1 else Scaled(version))
    slot.swap(1)
    asyncio.run(main())
    slot.swap(2)
    slot.swap(3)
    assert not closed.wait(0.05)
    go_on.set()
    assert closed.wait(SECONDS)
    assert late == [False]
    slot.close()


def test_fifty_swaps_do_not_grow_memory() -> None:
    models: list[weakref.ref[Scaled]] = []
    freed_on: list[str] = []

    def load(version: int) -> Scaled:
        model = Scaled(version)
        models.append(weakref.ref(model, lambda _: freed_on.append(threading.current_thread().name)))
        return model

    slot = Slot(load)
    gc.disable()  # reference counts alone must do it
    try:
        for version in range(1, 52):
            slot.swap(version)
            slot.predict((7,))
        assert eventually(lambda: len(freed_on) == 49)
        assert [ref() is None for ref in models] == [True] * 49 + [False] * 2
        assert set(freed_on) == {"rekindle-reaper"}
        slot.close()
        assert eventually(lambda: len(freed_on) == 51)
    finally:
        gc.enable()


def test_a_refused_swap_leaves_no_model_behind() -> None:
    class Broken(Scaled):
        def predict(self, rows: tuple[int, ...]) -> list[tuple[float, int]]:
            raise ValueError("broken")

    models: list[weakref.ref[Scaled]] = []

    def load(version: int) -> Scaled:
        model = Broken(version)
        models.append(weakref.ref(model))
        return model

    slot = Slot(load)
    gc.disable()
    try:
        with pytest.raises(RekindleError):
            slot.swap(1)
        assert eventually(lambda: models[0]() is None)
    finally:
        gc.enable()


def own_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("rekindle-")}


def test_a_slot_nobody_holds_takes_its_threads_and_models_along() -> None:
    models: list[weakref.ref[Scaled]] = []

    def load(version: int) -> Scaled:
        model = Scaled(version)
        models.append(weakref.ref(model))
        return model

    before = own_threads()
    slot = Slot(load)
    slot.follow_source(lambda: (1, 1), every=3600.0)
    slot.swap(2)
    assert {thread.name for thread in own_threads() - before} >= {"rekindle-follow", "rekindle-reaper"}
    gone = weakref.ref(slot)
    del slot
    gc.collect()
    assert eventually(lambda: gone() is None)
    assert eventually(lambda: not own_threads() - before)  # long before the next look
    assert eventually(lambda: all(ref() is None for ref in models))


def test_a_slot_that_never_served_takes_its_threads_along_too() -> None:
    def load(version: int) -> Scaled:
        raise OSError("no such bundle")

    before = own_threads()
    slot = Slot(load)
    with pytest.raises(OSError, match="no such bundle"):
        slot.swap(1)
    assert own_threads() - before
    time.sleep(0.05)  # until they are all idle: only the slot's end may wake them
    del slot
    gc.collect()
    assert eventually(lambda: not own_threads() - before)

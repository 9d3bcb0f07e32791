"""What becomes of old versions: kept while a call runs on them, then freed elsewhere."""

from __future__ import annotations

import threading
import time

import pytest
from serving_toys import SECONDS, Loader, Waiting, beside, eventually, hanging, in_flight, raising

from rekindle.errors import DeclarationError, RekindleError
from rekindle.serving import Slot, reaper


def test_the_old_version_goes_exactly_when_the_last_call_returns(caplog: pytest.LogCaptureFixture) -> None:
    waiting = Waiting()
    load = Loader(v1={"answers": waiting})
    slot = Slot(load)
    slot.swap(1)
    call = in_flight(slot, waiting)
    slot.swap(2)
    assert slot.answer([0]) == ([2], 2, "v2")  # at once, while the old call still runs
    slot.swap(3)  # from here on version 1 is neither serving nor the way back
    slot.swap(4)
    assert load.toys[2].closed.wait(SECONDS)  # the reaper has been round
    assert not load.toys[1].closed.is_set()
    waiting.go_on.set()
    call.join(SECONDS)
    assert load.toys[1].closed.wait(SECONDS)
    assert load.toys[1].closed_on == "rekindle-reaper"  # not on "request"
    assert "still held" not in caplog.text  # a minute is not over
    slot.close()


def test_a_model_that_closes_badly_does_not_stop_the_reaper(slot: Slot, load: Loader) -> None:
    slot.swap(1)
    load.toys[1].close = raising  # type: ignore[method-assign,assignment]
    for version in (2, 3, 4):
        slot.swap(version)
    assert load.toys[2].closed.wait(SECONDS)


def test_no_more_than_keep_old_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "ROOM_SECONDS", 0.05)
    waits = {version: Waiting() for version in range(1, 4)}
    load = Loader(**{f"v{version}": {"answers": waiting} for version, waiting in waits.items()})
    slot = Slot(load, keep=2)
    slot.swap(1)
    calls = []
    for version in (1, 2):
        calls.append(in_flight(slot, waits[version]))
        slot.swap(version + 1)
    with pytest.raises(
        RekindleError, match=r"swap to version 4 refused: calls are still running on 2 old versions .1, 2."
    ):
        slot.swap(4)
    assert slot.version == 3
    assert load.calls == [1, 2, 3]
    assert slot.rollback() == 2  # going back needs no room
    slot.rollback()
    waits[1].go_on.set()
    slot.swap(4)
    waits[2].go_on.set()
    for call in calls:
        call.join(SECONDS)
    slot.close()


def test_swaps_side_by_side_do_not_get_round_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "ROOM_SECONDS", 0.05)
    waiting = Waiting()
    load = Loader(v1={"answers": waiting})
    slow, begun, go_on = hanging(load, 2)
    slower, begun_too, go_on_too = hanging(slow, 3)
    slot = Slot(slower, keep=1)
    slot.swap(1)
    call = in_flight(slot, waiting)
    first, _ = beside(slot, 2)
    assert begun.wait(SECONDS)
    second, errors = beside(slot, 3)  # there is still room when it begins
    assert begun_too.wait(SECONDS)
    go_on.set()
    first.join(SECONDS)
    go_on_too.set()
    second.join(SECONDS)
    assert [str(exc).split(":")[0] for exc in errors] == ["swap to version 3 refused"]
    assert slot.version == 2
    waiting.go_on.set()
    call.join(SECONDS)
    slot.close()


def assert_set(event: threading.Event) -> None:
    assert event.wait(SECONDS)


def test_a_version_that_is_slow_to_close_still_takes_room(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "ROOM_SECONDS", 0.05)
    slot = Slot(load, keep=1)
    slot.swap(1)
    closed = threading.Event()
    load.toys[1].close = lambda: assert_set(closed)  # type: ignore[method-assign]
    slot.swap(2)
    slot.swap(3)
    with pytest.raises(RekindleError, match="swap to version 4 refused"):
        slot.swap(4)
    closed.set()
    slot.swap(4)
    slot.close()


def test_quick_swaps_without_calls_are_never_refused(load: Loader) -> None:
    slot = Slot(load, keep=1)
    for version in range(1, 60):
        slot.swap(version)
    slot.close()


@pytest.mark.parametrize("keep", [0, -1])
def test_keep_must_be_positive(load: Loader, keep: int) -> None:
    with pytest.raises(DeclarationError, match="keep="):
        Slot(load, keep=keep)


def test_a_call_that_keeps_an_old_version_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    waiting = Waiting()
    slot = Slot(Loader(v7={"answers": waiting}), warn_after=0.02)
    slot.swap(7)
    call = in_flight(slot, waiting)
    time.sleep(0.05)
    assert "still held" not in caplog.text  # it serves: nothing to report
    slot.swap(8)
    assert eventually(lambda: "version 7 still held after 0.02 s" in caplog.text)
    slot.swap(9)
    time.sleep(0.05)
    waiting.go_on.set()
    call.join(SECONDS)
    assert caplog.text.count("still held") == 1
    slot.close()


def test_close_lets_go_of_everything_and_refuses_new_calls(load: Loader) -> None:
    slot = Slot(load)
    slot.swap(1)
    slot.swap(2)
    slot.follow_source(lambda: None, every=0.01)
    slot.close()
    slot.close()
    assert load.toys[1].closed.wait(SECONDS)
    assert load.toys[2].closed.wait(SECONDS)
    assert not slot.ready
    for refused in (
        lambda: slot.predict([0]),
        lambda: slot.swap(3),
        slot.rollback,
        lambda: slot.follow_source(lambda: None),
    ):
        with pytest.raises(RekindleError, match="closed"):
            refused()


def test_a_call_in_flight_outlives_close() -> None:
    waiting = Waiting()
    load = Loader(v1={"answers": waiting})
    slot = Slot(load)
    slot.swap(1)
    slot.swap(2)
    slot.rollback()
    call = in_flight(slot, waiting)
    slot.close()
    assert load.toys[2].closed.wait(SECONDS)
    assert not load.toys[1].closed.is_set()
    waiting.go_on.set()
    call.join(SECONDS)
    assert load.toys[1].closed.wait(SECONDS)

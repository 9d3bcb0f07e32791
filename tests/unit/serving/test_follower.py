"""Keeping up with a champion: at once, by the warm copy, and never at the readers' cost."""

from __future__ import annotations

import logging
import threading

import pytest
from serving_toys import SECONDS, Loader, eventually, raising

from rekindle.errors import DeclarationError
from rekindle.serving import Slot, follower


class Registry:
    """What a follower asks; may be told to fail."""

    def __init__(self, *champion: int) -> None:
        self.champion: tuple[int, int] | None = (champion[0], champion[1]) if champion else None
        self.error: Exception | None = None
        self.asked = 0

    def __call__(self) -> tuple[int, int] | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.champion

    def asked_again(self) -> bool:
        before = self.asked
        return eventually(lambda: self.asked >= before + 2)


def test_a_follower_serves_the_champion_at_once_and_keeps_up(slot: Slot, load: Loader) -> None:
    registry = Registry(1, 1)
    slot.follow_source(registry, every=0.005)
    assert slot.version == 1
    registry.champion = (2, 2)
    assert eventually(lambda: slot.version == 2)
    registry.champion = (1, 3)  # rolled back in the registry
    assert eventually(lambda: slot.version == 1)
    assert load.calls == [1, 2]  # the warm copy was used
    registry.champion = None
    assert registry.asked_again()
    assert slot.version == 1
    assert slot.last_error is None
    assert slot.stale_for < SECONDS


def test_a_source_without_a_champion_is_no_error(slot: Slot) -> None:
    assert (slot.stale_for, slot.last_error) == (0.0, None)
    slot.follow_source(Registry(), every=0.005)
    assert (slot.ready, slot.last_error) == (False, None)


def test_a_source_that_fails_is_logged_once_and_service_goes_on(
    slot: Slot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rekindle.serving")
    registry = Registry(1, 1)
    slot.follow_source(registry, every=0.005)
    registry.error = OSError("database is locked")
    assert eventually(lambda: slot.last_error == "OSError: database is locked")
    stale_for = slot.stale_for
    assert registry.asked_again()
    assert registry.asked_again()
    assert slot.stale_for > stale_for
    assert slot.predict([0]) == [1]
    assert caplog.text.count("cannot follow the champion") == 1
    registry.champion, registry.error = (2, 2), None
    assert eventually(lambda: slot.version == 2 and slot.last_error is None)
    assert "can be followed again" in caplog.text


def test_a_champion_that_cannot_be_loaded_is_tried_again_ever_more_rarely(
    slot: Slot, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RETRY_SECONDS", SECONDS)
    load.traits["v2"] = {"answers": raising}
    registry = Registry(1, 1)
    slot.follow_source(registry, every=0.005)
    registry.champion = (2, 2)
    assert eventually(lambda: registry.asked > 30)
    assert slot.version == 1
    assert slot.last_error is not None
    assert "cannot predict its own probe rows" in slot.last_error
    assert 1 <= load.calls.count(2) < 10
    registry.champion = (3, 3)  # another champion does not wait
    assert eventually(lambda: slot.version == 3 and slot.last_error is None)


def test_a_rollback_by_hand_holds_until_the_source_names_another(slot: Slot) -> None:
    registry = Registry(1, 1)
    slot.follow_source(registry, every=0.005)
    registry.champion = (2, 2)
    assert eventually(lambda: slot.version == 2)
    assert registry.asked_again()
    slot.rollback()
    assert registry.asked_again()
    assert slot.version == 1
    registry.champion = (2, 3)
    assert eventually(lambda: slot.version == 2)


def test_following_another_source_ends_the_first(slot: Slot) -> None:
    first, second = Registry(1, 1), Registry(2, 1)
    slot.follow_source(first, every=0.005)
    slot.follow_source(second, every=0.005)
    assert slot.version == 2
    assert eventually(lambda: sum(t.name == "rekindle-follow" for t in threading.enumerate()) == 1)
    asked = first.asked
    assert second.asked_again()
    assert first.asked == asked


def test_every_must_be_positive(slot: Slot) -> None:
    with pytest.raises(DeclarationError, match="every="):
        slot.follow_source(lambda: None, every=0)

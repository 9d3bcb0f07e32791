"""The conformance suite itself: each promise, broken on purpose, is noticed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rekindle.testing.triggers import TriggerSuite
from rekindle.triggers import Volume


class Broken(TriggerSuite):
    def __init__(self, kind):
        self.kind = kind

    def make(self):
        return self.kind(rows=5_000)


@dataclass(kw_only=True)
class Forgetful(Volume):
    def _recall(self, state):
        self._batches = []


@dataclass(kw_only=True)
class Clinging(Volume):
    def reset(self, champion):
        self.report = {}


@dataclass(kw_only=True)
class Meddling(Volume):
    def observe(self, batch):
        batch.features["seen"] = 1
        return super().observe(batch)


@dataclass(kw_only=True)
class Versionless(Volume):
    def get_state(self):
        return {name: value for name, value in super().get_state().items() if name != "version"}


@dataclass(kw_only=True)
class Gullible(Volume):
    def set_state(self, state):
        super().set_state({**state, "version": 1})


@dataclass(kw_only=True)
class Nan(Volume):
    def observe(self, batch):
        signal = super().observe(batch)
        self.report["score"] = float("nan")
        return signal


@dataclass(kw_only=True)
class Changing(Volume):
    seen: int = 0

    def observe(self, batch):
        self.seen += 1
        return super().observe(batch)


SHARED: list[int] = []


@dataclass(kw_only=True)
class Sharing(Volume):
    log: list = field(default_factory=lambda: SHARED, compare=False, repr=False)

    def observe(self, batch):
        SHARED.append(1)
        return super().observe(batch) if len(SHARED) <= 30 else None


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Forgetful, "state_round_trip"),
        (Forgetful, "state_moves_at_any_batch"),
        (Clinging, "reset_forgets"),
        (Meddling, "observe_is_pure"),
        (Versionless, "state_has_version"),
        (Gullible, "unknown_version_refused"),
        (Nan, "empty_and_unlabelled_batches_pass"),
        (Changing, "it_is_its_own_configuration"),
        (Sharing, "same_batches_same_signals"),
    ],
)
def test_a_broken_promise_is_noticed(kind, promise):
    SHARED.clear()
    suite = Broken(kind)
    with pytest.raises((AssertionError, ValueError, KeyError)):
        getattr(suite, f"test_{promise}")()


@pytest.mark.parametrize("promise", [name for name in dir(TriggerSuite) if name.startswith("test_")])
def test_a_sound_trigger_passes(promise):
    getattr(Broken(Volume), promise)()

"""The conformance suite of triggers, run on all of rekindle's own."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rekindle.records import Batch, Champion, Signal, Span

if TYPE_CHECKING:
    from rekindle.protocols import Trigger

__all__ = ["TriggerSuite", "sample_batches", "sample_champion"]

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = 600
KNOWN_PRIORITIES = range(1, 6)


class TriggerSuite:
    """Subclass it, say how to `make` the trigger, and pytest runs every promise of the protocol.

    The stream behind it (`sample_champion`, `sample_batches`) is quiet for 15 daily batches and has moved in all
    respects in the next 15: features, errors, metric. Override `champion` and `batches` for a trigger that needs
    another. `speaks` says whether the trigger is expected to speak on it.

        class TestMyTrigger(TriggerSuite):
            def make(self):
                return MyTrigger(threshold=3)
    """

    speaks = True

    def make(self) -> Trigger:
        """A new trigger, the same each time."""
        raise NotImplementedError(f"{type(self).__name__} must say how to make its trigger")

    def champion(self) -> Champion:
        """What the trigger is reset with first."""
        return sample_champion()

    def batches(self) -> list[Batch]:
        """What it observes, in order."""
        return sample_batches()

    def test_it_speaks_as_expected(self) -> None:
        said = [signal for signal in self._run(self._ready(), self.batches()) if signal is not None]
        assert bool(said) == self.speaks, f"spoke {len(said)} times"
        for signal in said:
            assert signal.severity in KNOWN_PRIORITIES
            assert signal.reason
            assert signal.trigger
            _plain([signal.statistic, signal.threshold, signal.evidence])

    def test_same_batches_same_signals(self) -> None:
        first, second = self._ready(), self._ready()
        assert self._run(first, self.batches()) == self._run(second, self.batches())

    def test_state_round_trip(self) -> None:
        batches = self.batches()
        half = len(batches) // 2
        whole, before, after = self._ready(), self._ready(), self.make()
        expected = self._run(whole, batches)
        said = self._run(before, batches[:half])
        after.set_state(_plain(before.get_state()))
        assert said + self._run(after, batches[half:]) == expected
        assert _plain(after.get_state()) == _plain(whole.get_state())

    def test_state_moves_at_any_batch(self) -> None:
        batches = self.batches()
        expected = self._run(self._ready(), batches)
        moving, said = self._ready(), []
        for batch in batches:
            said.append(moving.observe(batch))
            state = _plain(moving.get_state())
            moving = self.make()
            moving.set_state(state)
        assert said == expected

    def test_reset_forgets(self) -> None:
        batches = self.batches()
        used, new = self._ready(), self.make()
        self._run(used, batches)
        champion = replace(self.champion(), version=2, batch=batches[-1].span.seq)
        used.reset(champion)
        new.reset(champion)
        assert _plain(used.get_state()) == _plain(new.get_state())

    def test_observe_is_pure(self) -> None:
        trigger = self._ready()
        for batch in self.batches():
            before = copy.deepcopy(batch)
            trigger.observe(batch)
            pd.testing.assert_frame_equal(batch.features, before.features)
            for name in ("prediction", "label", "loss"):
                np.testing.assert_array_equal(getattr(batch, name), getattr(before, name), err_msg=name)

    def test_state_has_version(self) -> None:
        for trigger in (self.make(), self._ready()):
            assert isinstance(trigger.get_state()["version"], int)

    def test_unknown_version_refused(self) -> None:
        trigger = self._ready()
        for version in (999_999, None):
            try:
                trigger.set_state({**trigger.get_state(), "version": version})
            except ValueError:
                continue
            raise AssertionError(f"a state of version {version!r} was taken")

    def test_silence_before_the_first_reset_is_no_error(self) -> None:
        trigger = self.make()
        for batch in self.batches()[:3]:
            trigger.observe(batch)
        _plain(trigger.get_state())

    def test_empty_and_unlabelled_batches_pass(self) -> None:
        trigger = self._ready()
        for batch in self.batches()[:3]:
            trigger.observe(_without_labels(batch))
            trigger.observe(_without_rows(batch))
            _plain(trigger.get_state())

    def test_copies_share_nothing(self) -> None:
        declared = self.make()
        fresh = _plain(declared.get_state())
        live = copy.deepcopy(declared)
        live.reset(self.champion())
        self._run(live, self.batches())
        assert _plain(declared.get_state()) == fresh

    def test_it_is_its_own_configuration(self) -> None:
        used = self._ready()
        self._run(used, self.batches())
        assert used == self.make()
        assert repr(used) == repr(self.make())

    def _ready(self) -> Trigger:
        trigger = self.make()
        trigger.reset(self.champion())
        return trigger

    def _run(self, trigger: Trigger, batches: list[Batch]) -> list[Signal | None]:
        return [trigger.observe(batch) for batch in batches]


def sample_champion(*, batch: int = -1, baseline_metric: float | None = 0.9) -> Champion:
    """A champion trained on 5,000 quiet rows before the first batch."""
    return Champion(
        version=1,
        batch=batch,
        released_at=START,
        metric="accuracy",
        higher_is_better=True,
        baseline_metric=baseline_metric,
        baseline_loss=0.1,
        rows=5_000,
        reference=_features(np.random.default_rng(0), 5_000, moved=False),
    )


def sample_batches(count: int = 30, *, change: int = 15, seed: int = 1) -> list[Batch]:
    """Daily batches of 600 rows; from batch `change` on features have moved and accuracy falls from 0.9 to 0.4."""
    rng = np.random.default_rng(seed)
    return [_batch(rng, seq, moved=seq >= change) for seq in range(count)]


def _batch(rng: np.random.Generator, seq: int, *, moved: bool) -> Batch:
    start = START + seq * DAY
    label = rng.choice([-1, 1], ROWS)
    wrong = rng.random(ROWS) < (0.6 if moved else 0.1)
    loss = wrong.astype(np.float64)
    return Batch(
        span=Span(seq, start, start + DAY),
        at=start + DAY,
        rows=ROWS,
        features=_features(rng, ROWS, moved=moved),
        prediction=np.where(wrong, -label, label),
        label=label,
        loss=loss,
        metric=float(1 - loss.mean()),
    )


def _features(rng: np.random.Generator, rows: int, *, moved: bool) -> pd.DataFrame:
    frame = pd.DataFrame({f"x{i}": rng.normal(2.0 if moved else 0.0, 1.0, rows) for i in range(4)})
    frame["few"] = rng.integers(0, 5, rows)
    frame["yes"] = rng.random(rows) < 0.3
    frame["name"] = rng.choice(["a", "b", "c"], rows)
    frame["group"] = pd.Categorical(rng.choice(["u", "v"], rows))
    frame["when"] = pd.Timestamp(START)
    return frame.mask(rng.random(frame.shape) < 0.01) if not moved else frame


def _without_labels(batch: Batch) -> Batch:
    unknown = np.full(len(batch.features), np.nan)
    return replace(batch, label=unknown, loss=None, metric=None)


def _without_rows(batch: Batch) -> Batch:
    none = np.empty(0)
    return replace(
        batch, rows=0, features=batch.features.iloc[:0], prediction=none, label=none, loss=None, metric=None
    )


def _plain(value: Any) -> Any:
    """Through JSON and back; fails on anything that is not plain, nan included."""
    return json.loads(json.dumps(value, allow_nan=False))

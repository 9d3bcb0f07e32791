"""Schedule (row 6), Volume and Manual (row 11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rekindle.errors import DeclarationError
from rekindle.records import Kind, Span
from rekindle.testing.triggers import START, sample_batches, sample_champion
from rekindle.triggers import Manual, Never, Schedule, Volume, manual_signal

BATCH = sample_batches(1)[0]
DAY = timedelta(days=1)


def at(seq, moment=START, rows=600):
    return replace(BATCH, span=Span(seq, seq, seq + 1), at=moment, rows=rows)


def test_row_6_seven_days_since_the_last_training():
    trigger = Schedule(every="7d")
    trigger.reset(sample_champion())
    assert trigger.observe(at(0, START + 7 * DAY - timedelta(seconds=1))) is None
    assert trigger.report["reason"] == "not_due"
    signal = trigger.observe(at(1, START + 7 * DAY))
    assert (signal.kind, signal.statistic, signal.threshold, signal.severity) == (Kind.SCHEDULE, 7.0, 7.0, 3)
    assert signal.reason == "trained_7_days_ago_every_7"
    assert trigger.observe(at(2, START + 8 * DAY)) is not None


def test_row_6_a_new_champion_starts_the_count_again():
    trigger = Schedule(every="7d")
    trigger.reset(sample_champion())
    trigger.reset(replace(sample_champion(), released_at=START + 6 * DAY))
    assert trigger.observe(at(0, START + 8 * DAY)) is None
    assert trigger.observe(at(1, START + 13 * DAY)) is not None


def test_a_schedule_in_batches():
    trigger = Schedule(every="5 batches")
    trigger.reset(sample_champion(batch=2))
    assert [trigger.observe(at(seq)) is not None for seq in range(3, 9)] == [False] * 4 + [True] * 2
    assert trigger.report["reason"] == "trained_6_batches_ago_every_5"


def test_a_schedule_without_a_champion_waits_aloud():
    trigger = Schedule()
    assert trigger.observe(at(0)) is None
    assert trigger.report == {"insufficient": True, "reason": "no_champion"}


def test_row_11_volume():
    trigger = Volume(rows=1_000)
    trigger.reset(sample_champion())
    assert trigger.observe(at(0)) is None
    signal = trigger.observe(at(1))
    assert (signal.kind, signal.statistic, signal.threshold) == (Kind.DATA_VOLUME, 1_200.0, 1_000.0)
    assert signal.reason == "rows_1200_reached_1000"


def test_rows_that_came_in_during_the_training_count():
    """Trained on batches up to 10, released after batch 12: the rows of 11 and 12 are new to it."""
    trigger = Volume(rows=2_000)
    trigger.reset(sample_champion())
    for seq in range(13):
        trigger.observe(at(seq))
    trigger.reset(sample_champion(batch=10))
    trigger.observe(at(13))
    assert trigger.report["rows"] == 3 * 600


def test_memory_of_a_volume_is_bounded():
    trigger = Volume(rows=10**9)
    trigger.reset(sample_champion())
    for seq in range(1_000):
        trigger.observe(at(seq))
    assert trigger.report["rows"] == 600_000
    assert len(trigger.get_state()["batches"]) <= 64


def test_row_11_manual():
    signal = manual_signal("new price list", priority=5)
    assert (signal.kind, signal.severity, signal.reason) == (Kind.MANUAL, 5, "new price list")
    assert manual_signal("because").severity == 3
    assert Manual().observe(BATCH) is None
    assert Never().observe(BATCH) is None


@pytest.mark.parametrize("priority", [0, 6, 2.5, "high", True])
def test_a_wrong_priority_is_refused(priority):
    with pytest.raises(DeclarationError, match="priority="):
        manual_signal("because", priority=priority)


@pytest.mark.parametrize("make", [lambda: Schedule(every="weekly"), lambda: Schedule(every=0), lambda: Volume(rows=0),
                                  lambda: Volume(rows=1e4)])  # fmt: skip
def test_wrong_settings_of_counters_are_refused_at_once(make):
    with pytest.raises(DeclarationError):
        make()


def test_the_one_setting_needs_no_name_and_can_have_it():
    assert Volume(10_000) == Volume(rows=10_000)
    assert Schedule("7d") == Schedule(every="7d")

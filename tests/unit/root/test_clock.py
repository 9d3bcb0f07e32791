"""Clocks and spans of time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.clock import ManualClock, SystemClock, parse_span
from rekindle.errors import DeclarationError

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30s", timedelta(seconds=30)),
        ("30 sec", timedelta(seconds=30)),
        ("15min", timedelta(minutes=15)),
        ("15m", timedelta(minutes=15)),
        (" 24h ", timedelta(days=1)),
        ("1.5h", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
        (timedelta(hours=2), timedelta(hours=2)),
        (500, 500),
    ],
)
def test_spans(text, span):
    assert parse_span(text, "every") == span


@pytest.mark.parametrize(
    "wrong",
    ["", "soon", "7", "7 days", "-1d", "0d", "d", "1d2h", "1e3s", "1M", "1y", 0, -5, 1.5, True, None, [7],
     timedelta(0), timedelta(days=-1), "inf d", "nand", "99999999999d"],
)  # fmt: skip
def test_what_is_no_span_is_refused_by_name(wrong):
    with pytest.raises(DeclarationError, match="above zero") as caught:
        parse_span(wrong, "every")
    assert caught.value.field == "every"


@given(st.integers(1, 50_000), st.sampled_from(["s", "min", "h", "d", "w"]))
def test_every_whole_number_of_units_is_a_span(number, unit):
    seconds = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    assert parse_span(f"{number}{unit}", "every") == timedelta(seconds=number * seconds)


def test_the_machines_clock_reads_utc():
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)


def test_a_manual_clock_stands_still_until_it_is_moved():
    clock = ManualClock(START)
    assert clock.now() == clock.now() == START
    assert clock.advance(timedelta(hours=1)) == START + timedelta(hours=1) == clock.now()
    assert clock.set(clock.now()) == clock.now()
    with pytest.raises(ValueError, match="does not run backwards"):
        clock.set(START)
    with pytest.raises(ValueError, match="does not run backwards"):
        clock.advance(timedelta(seconds=-1))


def test_times_without_a_zone_are_refused_and_others_become_utc():
    with pytest.raises(ValueError, match="no timezone"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001
    there = ManualClock(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert there.now() == START
    assert there.now().tzinfo is UTC

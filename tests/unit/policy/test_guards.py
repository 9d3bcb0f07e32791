"""Guards: minimum rows (row 2), cooldown (row 16), priority (row 17)."""

from datetime import timedelta

import pytest

from rekindle.errors import DeclarationError
from rekindle.policy.guards import Cooldown, MinPriority, MinRows
from rekindle.records import Action, Kind


@pytest.mark.parametrize(("labelled", "passes"), [(0, False), (99, False), (100, True), (101, True)])
def test_a_hundred_labelled_rows_are_needed(view_of, labelled, passes):
    objection = MinRows()(view_of(labelled=labelled, rows=5000))
    if passes:
        assert objection is None
    else:
        assert objection.action is Action.WAIT
        assert objection.reason.startswith("insufficient_data")
        assert objection.evidence == {"labelled": labelled, "needed": 100}
        assert objection.would_change == f"{100 - labelled} more labelled rows"


def test_no_rows_can_be_asked_for(view_of):
    assert MinRows(0)(view_of(labelled=0)) is None


@pytest.mark.parametrize(
    ("ago", "passes"),
    [(timedelta(0), False), (timedelta(hours=23, minutes=59), False), (timedelta(hours=24), True)],
)
def test_cooldown_counts_from_the_end_of_the_last_run(view_of, ago, passes):
    now = view_of().now
    objection = Cooldown("24h")(view_of(finished_at=now - ago))
    assert (objection is None) == passes
    if objection is not None:
        assert objection.evidence["hours_left"] == pytest.approx(
            (timedelta(hours=24) - ago) / timedelta(hours=1)
        )


def test_without_a_finished_run_there_is_nothing_to_cool_down_from(view_of):
    assert Cooldown("24h")(view_of(finished_at=None)) is None


def test_a_cooldown_in_the_future_is_still_one(view_of):
    """A clock set back must not open the gate."""
    assert Cooldown("1h")(view_of(finished_at=view_of().now + timedelta(minutes=5))) is not None


@pytest.mark.parametrize(("severity", "passes"), [(1, False), (2, False), (3, True), (4, True), (5, True)])
def test_priorities_below_three_are_refused(view_of, signal_of, severity, passes):
    objection = MinPriority()(view_of(signals=(signal_of(1), signal_of(severity))))
    assert (objection is None) == passes
    if objection is not None:
        assert objection.reason == f"priority {severity} is below 3"


def test_no_signal_counts_as_the_default_priority(view_of):
    assert MinPriority(3)(view_of(signals=())) is None
    assert MinPriority(4)(view_of(signals=())) is not None


def test_the_highest_of_several_signals_counts(view_of, signal_of):
    assert MinPriority(4)(view_of(signals=(signal_of(2), signal_of(4, Kind.SCHEDULE), signal_of(1)))) is None


@pytest.mark.parametrize(
    ("guard", "value"),
    [
        *((MinRows, value) for value in (-1, "100", None, True, 2.5, float("nan"))),
        *((MinPriority, value) for value in (0, 6, "3", None, True, 2.5)),
        *((Cooldown, value) for value in (0, 5, "soon", "", None, "-1h", timedelta(0), True)),
    ],
)
def test_wrong_values_are_refused(guard, value):
    with pytest.raises(DeclarationError, match=r"rows=|priority=|cooldown="):
        guard(value)


def test_a_cooldown_may_be_a_span_of_time():
    assert Cooldown(timedelta(days=1)) == Cooldown("24h") == Cooldown("1d") == Cooldown()

"""Delivery: at least once, in order, tried again, given up after ten, and no secret in any log."""

import logging
from datetime import UTC, datetime

import pytest

from rekindle.clock import ManualClock
from rekindle.events.bus import LocalBus
from rekindle.events.delivery import ATTEMPTS, Delivery, sentence, worth_telling
from rekindle.records import Event
from rekindle.store import open_store, outbox

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "tgram://123456:T0K3N/chat"


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "rekindle.db", ManualClock(NOW))
    yield store
    store.close()


class Notifier:
    """Hears events; fails while it is told to, with its URL in the error."""

    def __init__(self, failing=False):
        self.heard, self.failing, self.tries = [], failing, 0

    def __call__(self, event):
        self.tries += 1
        if self.failing:
            raise ConnectionError(f"no answer from {SECRET}")
        self.heard.append(event.payload["n"])


def add(store, n, loop="churn", kind="promoted"):
    with store.begin() as conn:
        return outbox.add(conn, kind, loop, {"n": n}, NOW)


def pending(store):
    with store.read() as conn:
        return [e.payload["n"] for e in outbox.pending(conn)]


def delivery(store, *notifiers, bus=None, loops=("churn", "fraud"), pause=0.0):
    return Delivery(store, bus or LocalBus(), lambda loop: notifiers if loop in loops else None, pause=pause)


def test_everything_is_told_once_and_in_order(store):
    notifier, heard, bus = Notifier(), [], LocalBus()
    bus.subscribe(lambda e: heard.append(e.payload["n"]))
    for n in range(5):
        add(store, n, kind="decision" if n == 2 else "promoted")
    telling = delivery(store, notifier, bus=bus)
    assert telling.deliver() == 5
    assert telling.deliver() == 0
    assert notifier.heard == [0, 1, 3, 4], "nobody is told of routine decisions"
    assert heard == [0, 1, 2, 3, 4]
    assert pending(store) == []


def test_a_failure_is_tried_again_and_later_events_of_the_loop_wait(store):
    notifier = Notifier(failing=True)
    for n in range(3):
        add(store, n)
    telling = delivery(store, notifier)
    assert telling.deliver() == 0
    assert notifier.tries == 1, "the second and third may not come before the first"
    notifier.failing = False
    assert telling.deliver() == 3
    assert notifier.heard == [0, 1, 2]


def test_other_loops_do_not_wait(store):
    good, bad = Notifier(), Notifier(failing=True)
    add(store, 0, "churn")
    add(store, 1, "fraud")
    telling = Delivery(store, LocalBus(), {"churn": [bad], "fraud": [good]}.get, pause=0.0)
    assert telling.deliver() == 1
    assert good.heard == [1]
    assert pending(store) == [0]


def test_one_notifier_that_fails_keeps_nothing_from_the_others(store):
    """And those who have been told are not told ten times."""
    first, bad, last = Notifier(), Notifier(failing=True), Notifier()
    add(store, 0)
    telling = delivery(store, first, bad, last)
    for _ in range(3):
        telling.deliver()
    assert (first.heard, last.heard, bad.tries) == ([0], [0], 3)
    bad.failing = False
    assert telling.deliver() == 1
    assert (first.heard, bad.heard, last.heard) == ([0], [0], [0])


def test_given_up_after_ten_with_a_line_in_the_log(store, caplog):
    notifier, heard, bus = Notifier(failing=True), [], LocalBus()
    bus.subscribe(heard.append)
    add(store, 0)
    add(store, 1)
    telling = delivery(store, notifier, bus=bus)
    with caplog.at_level(logging.DEBUG):
        for _ in range(ATTEMPTS + 5):
            telling.deliver()
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert lines[0] == f"event promoted of churn is given up after {ATTEMPTS} attempts: ConnectionError"
    notifier.failing = False
    assert telling.deliver() == 1
    assert notifier.heard == [1], "the next one is not lost with it"
    assert len(heard) == 2, "the bus heard each of them once"
    assert telling.deliver() == 0


def test_a_new_process_tells_again_what_nobody_confirmed(store):
    first, bad = Notifier(), Notifier(failing=True)
    add(store, 0)
    delivery(store, first, bad).deliver()
    bad.failing = False
    delivery(store, first, bad).deliver()
    assert first.heard == [0, 0]
    assert bad.heard == [0]


def test_secrets_reach_neither_log_nor_database(store, caplog):
    add(store, 0)
    telling = delivery(store, Notifier(failing=True))
    with caplog.at_level(logging.DEBUG):
        for _ in range(ATTEMPTS):
            telling.deliver()
    assert "ConnectionError" in caplog.text
    assert "T0K3N" not in caplog.text
    with store.engine.connect() as conn:
        rows = conn.exec_driver_sql("SELECT * FROM outbox").all()
    assert "T0K3N" not in repr(rows)


def test_attempts_are_spaced(store):
    """Ten attempts within a second of polling would give an event up during any outage."""
    notifier = Notifier(failing=True)
    add(store, 0)
    telling = delivery(store, notifier, pause=60.0)
    for _ in range(20):
        telling.deliver()
    assert notifier.tries == 1
    assert pending(store) == [0]


def test_events_of_loops_that_are_not_known_here_are_left_alone(store):
    add(store, 0, "elsewhere")
    add(store, 1, "elsewhere", kind="decision")
    notifier = Notifier()
    assert delivery(store, notifier).deliver() == 1
    assert pending(store) == [0]
    assert delivery(store, notifier, loops=("elsewhere",)).deliver() == 1
    assert notifier.heard == [0]


def test_a_loop_without_notifiers_is_done_with(store):
    add(store, 0)
    assert delivery(store).deliver() == 1
    assert pending(store) == []


def test_notifiers_that_cannot_be_made_are_a_failure_like_any_other(store, caplog):
    def broken(loop):
        raise ImportError(f"no module for {SECRET}")

    add(store, 0)
    telling = Delivery(store, LocalBus(), broken, pause=0.0)
    assert telling.deliver() == 0
    assert "ImportError" in caplog.text
    assert "T0K3N" not in caplog.text


@pytest.mark.parametrize(
    ("kind", "payload", "told", "words"),
    [
        ("promoted", {"cause": "v15 -> v16"}, True, "churn: model updated: v15 -> v16"),  # row 83
        ("run_finished", {"outcome": "ERROR", "cause": "no rows"}, True, "churn: run ended ERROR: no rows"),
        (
            "approval_wanted",
            {"run": "run-1"},
            True,
            "churn: a candidate waits for you: rekindle approve run-1",
        ),
        ("rolled_back", {"cause": "by hand"}, True, "churn: rolled back: by hand"),
        ("decision", {"action": "escalate", "reason": "silent"}, True, "churn: escalate: silent"),
        ("decision", {"action": "wait", "reason": "all well"}, False, "churn: wait: all well"),
        ("decision", {}, False, "churn: decision: "),
    ],
)
def test_what_is_told_and_how(kind, payload, told, words):
    event = Event("evt-1", kind, "churn", NOW, payload)
    assert worth_telling(event) is told
    assert sentence(event) == words

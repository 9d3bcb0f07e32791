"""Notification URLs through apprise, against a server on this machine."""

import json
import logging
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rekindle.contrib.apprise import UrlNotifier
from rekindle.errors import ConfigError
from rekindle.records import Env, Event

pytest.importorskip("apprise")
EVENT = Event(
    "evt-1", "promoted", "churn", datetime(2026, 1, 1, tzinfo=UTC), {"cause": "v15 -> v16, accuracy 0.567"}
)
SECRET = "T0K3N"


@pytest.fixture
def server():
    """A service that takes JSON; `status` is what it answers, `heard` what it was sent."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            self.server.heard.append((self.path, json.loads(self.rfile.read(length))))
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Service) as running:
        running.heard, running.status = [], 200
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def url(server, path=""):
    return f"json://127.0.0.1:{server.server_port}{path}"


def test_an_event_arrives_as_one_line(server):
    UrlNotifier(url(server))(EVENT)
    ((_, body),) = server.heard
    assert body["title"] == "rekindle"
    assert body["message"] == "churn: model updated: v15 -> v16, accuracy 0.567"


def test_the_url_comes_from_the_environment_when_it_is_needed(server, monkeypatch):
    notifier = UrlNotifier(Env("CHURN_URL"))
    monkeypatch.delenv("CHURN_URL", raising=False)
    with pytest.raises(ConfigError, match="CHURN_URL"):
        notifier(EVENT)
    monkeypatch.setenv("CHURN_URL", url(server, f"/{SECRET}"))
    notifier(EVENT)
    assert server.heard[0][0] == f"/{SECRET}"


def test_a_service_that_refuses_is_an_error_to_be_tried_again(server, caplog):
    server.status = 500
    with caplog.at_level(1), pytest.raises(ConnectionError, match="not accepted") as caught:
        UrlNotifier(url(server, f"/{SECRET}"))(EVENT)
    assert SECRET not in caplog.text + str(caught.value)


def test_nobody_there(caplog):
    with caplog.at_level(1), pytest.raises(ConnectionError):
        UrlNotifier(f"json://127.0.0.1:1/{SECRET}")(EVENT)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "bad", [f"nonsense://{SECRET}", SECRET, f"mailto://user:{SECRET}@", f"tgram://{SECRET}"]
)
def test_no_url_at_all_is_refused_and_never_shown(bad, caplog):
    """apprise itself writes such a URL into the log, as an error."""
    with caplog.at_level(1), pytest.raises((ConfigError, ConnectionError)) as caught:
        UrlNotifier(bad)(EVENT)
    assert SECRET not in caplog.text + str(caught.value) + repr(caught.value)


def test_other_log_lines_of_theirs_come_through_afterwards(server, caplog):
    UrlNotifier(url(server))(EVENT)
    logging.getLogger("apprise").warning("something of yours")
    assert "something of yours" in caplog.text


def test_its_own_text_shows_no_url(server):
    assert SECRET not in repr(UrlNotifier(url(server, f"/{SECRET}")))
    assert "CHURN_URL" in repr(UrlNotifier(Env("CHURN_URL")))

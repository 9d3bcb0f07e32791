"""Notification URLs of some hundred services, through apprise (extra `apprise`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rekindle.errors import ConfigError
from rekindle.events.delivery import sentence
from rekindle.records import Env

if TYPE_CHECKING:
    from rekindle.records import Event

__all__ = ["UrlNotifier"]

# They write whole URLs into the log: of what they cannot read, and of what they call.
TALKATIVE = (
    "apprise",
    "urllib3.connectionpool",
    "requests",
    "httpx",
    "httpcore.http11",
    "httpcore.connection",
)


class UrlNotifier:
    """Sends an event as one line to a notification URL. The URL is read when it is needed and never shown."""

    def __init__(self, target: Env | str) -> None:
        self._target = target

    def __repr__(self) -> str:
        return f"UrlNotifier({self._target if isinstance(self._target, Env) else 'a URL'})"

    def __call__(self, event: Event) -> None:
        try:
            import apprise
        except ImportError as error:
            raise ConfigError(
                "notify", "a URL", "the loop", "install it: pip install 'rekindle[apprise]'"
            ) from error
        url = self._target.value() if isinstance(self._target, Env) else self._target
        with _silenced():
            sender = apprise.Apprise()
            known = sender.add(url)
            sent = known and sender.notify(title="rekindle", body=sentence(event))
        if not known:
            raise ConfigError("notify", "a URL", "the loop", "it is no notification URL that apprise knows")
        if not sent:
            raise ConnectionError("the notification was not accepted")


@contextmanager
def _silenced() -> Iterator[None]:
    """Secrets in URLs never reach a log."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    for logger in loggers:
        logger.addFilter(_nothing)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False

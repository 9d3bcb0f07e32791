"""Notification URLs of some hundred services, through apprise (extra `apprise`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rekindle.errors import ConfigError
from rekindle.events.delivery import sentence
from rekindle.records import Env

if TYPE_CHECKING:
    from rekindle.records import Event

__all__ = ["UrlNotifier"]


class UrlNotifier:
    """Sends an event as one line to a notification URL. The URL is read when it is needed and never shown."""

    def __init__(self, target: Env | str) -> None:
        self._target = target

    def __call__(self, event: Event) -> None:
        try:
            import apprise
        except ImportError as error:
            raise ConfigError(
                "notify", "a URL", "the loop", "install it: pip install 'rekindle[apprise]'"
            ) from error
        sender = apprise.Apprise()
        url = self._target.value() if isinstance(self._target, Env) else self._target
        if not sender.add(url):
            raise ConfigError("notify", "a URL", "the loop", "it is no notification URL that apprise knows")
        if not sender.notify(title="rekindle", body=sentence(event)):
            raise ConnectionError("the notification was not accepted")

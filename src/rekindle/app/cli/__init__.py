"""The command line. Each command states its help here and is imported only when it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["build", "main"]

COMMANDS = {
    "demo": (
        "demo:demo",
        "Watch a model keep itself fresh: a stream replayed against never and always retraining.",
    ),
    "init": ("starting:init", "Write a loops file for a new model."),
    "adopt": ("starting:adopt", "Make a model that already runs champion v1."),
    "check": (
        "reading:check",
        "Say what a tick would decide, and why. Changes nothing. Exit 10: retrain advised.",
    ),
    "tick": ("acting:tick", "Bring loops up to date: score due batches, decide, retrain if it pays."),
    "up": ("acting:up", "Tick every loop on its own cadence until stopped."),
    "retrain": ("acting:retrain", "Retrain now, with a reason."),
    "approve": ("acting:approve", "Release a candidate that waits for approval."),
    "reject": ("acting:reject", "Keep the champion instead of a candidate that waits for approval."),
    "rollback": ("acting:rollback", "Make the previous version champion again, at once."),
    "pause": ("acting:pause", "Stop ticking loops until they are resumed."),
    "resume": ("acting:resume", "Let paused loops go on."),
    "status": ("reading:status", "How each loop stands."),
    "decisions": ("reading:decisions", "The newest decisions with their reasons; waiting is a decision too."),
    "runs": ("reading:runs", "The newest runs, how they ended and why."),
    "versions": ("reading:versions", "The versions of a model and who is champion."),
}


def build() -> App:
    """The command line application."""
    from cyclopts import App

    from rekindle._version import __version__

    app = App(
        name="rekindle",
        help="Keeps machine-learning models fresh: notices, decides whether retraining pays, proves the new model "
        "better, swaps it in. Begin with `rekindle demo`.",
        version=__version__,
        help_format="plaintext",
    )
    for name, (where, about) in COMMANDS.items():
        app.command(f"rekindle.app.cli.{where}", name=name, help=about)
    config = App(name="config", help="Settings and where each came from.", help_format="plaintext")
    config.command(
        "rekindle.app.cli.reading:config_show", name="show", help="Print every setting and its origin."
    )
    app.command(config)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run one command; exit 0 done, 1 failure, 2 usage error, 10 (check) retrain advised."""
    from rekindle.app.cli.ending import run_to_exit_code

    sys.exit(run_to_exit_code(build, arguments))

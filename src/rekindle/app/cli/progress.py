"""Progress of long work on the terminal: the run's step and how far it is. Nothing where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

__all__ = ["steps_shown"]


@contextmanager
def steps_shown(silent: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A callback for `Home(say=...)` that keeps one line with the step, a bar and the time up to date on stderr."""
    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield lambda text, share: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description:<42}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("scoring batches", total=1.0)

        def say(text: str, share: float) -> None:
            progress.update(task, description=text, completed=min(1.0, max(0.0, share)))

        yield say

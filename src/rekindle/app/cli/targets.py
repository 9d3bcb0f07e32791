"""TARGET on the command line: `loops.py[:name]`, or a NAME or glob known to the home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from rekindle.app.config import Settings, load_settings
from rekindle.app.home import Home
from rekindle.app.loading import load_loops, matching, split_target
from rekindle.clock import SystemClock
from rekindle.errors import HomeBusy, RekindleError, SourceError, Stopped, UnknownName
from rekindle.store import loops, open_store

__all__ = ["HomeFlag", "JsonFlag", "Target", "each", "opened"]

T = TypeVar("T")

Target = Annotated[str | None, Parameter(help="loops.py, loops.py:NAME, or a NAME or glob known to the home")]
HomeFlag = Annotated[
    Path | None, Parameter(name="--home", help="folder with the control database and the models")
]
JsonFlag = Annotated[bool, Parameter(name="--json", negative="", help="print JSON")]


def opened(target: str | None, home: Path | None, **flags: Any) -> tuple[Home, list[str]]:
    """The home and the names the target stands for.

    Without a target: loops.py of this folder, else every loop known to the home.
    """
    settings, _ = load_settings({"home": home, **flags})
    if target is None:
        target = "loops.py" if Path("loops.py").is_file() else "*"
    path, pattern = split_target(target)
    if path.endswith(".py"):
        declared = load_loops(path)
        names = matching([loop.name for loop in declared.loops], pattern or "*")
        return Home([declared], settings), names
    found = _known(settings, path)
    files = [load_loops(file) for file in sorted(set(found.values()))]
    held = {loop.name for file in files for loop in file.loops}
    gone = sorted(set(found) - held)
    if gone and not set(found) & held:
        raise UnknownName("loop", gone[0], held)
    return Home(files, settings), sorted(set(found) & held)


def each(names: Sequence[str], act: Callable[[str], T], broken: Callable[[str, str], T]) -> list[T]:
    """Act on every loop. In a fleet one that fails is reported in its place and the others go on."""
    if len(names) == 1:
        return [act(names[0])]
    reports = []
    for name in names:
        try:
            reports.append(act(name))
        except (Stopped, HomeBusy):
            raise
        except RekindleError as error:
            reports.append(broken(name, str(error)))
    return reports


def _known(settings: Settings, pattern: str) -> dict[str, str]:
    place = Path(settings.home).expanduser().absolute()
    if not settings.database and not (place / "rekindle.db").is_file():
        raise SourceError(
            f"there is no loops.py here and no home in {place}. Begin with `rekindle init NAME`, or name a loops file."
        )
    with open_store(settings.database or place / "rekindle.db", SystemClock()) as store, store.read() as conn:
        stored = {loop.name: loop.file for loop in loops.newest(conn)}
    names = matching(stored, pattern)
    found = {name: stored[name] for name in names if stored[name]}
    if not found:
        raise UnknownName("loops file of", names[0], ())
    return found

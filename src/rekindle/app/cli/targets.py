"""TARGET on the command line: `loops.py[:name]`, or a NAME or glob known to the home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from rekindle.app.config import Settings, load_settings
from rekindle.app.home import Home
from rekindle.app.loading import LoopsFile, load_loops, matching, split_target
from rekindle.clock import SystemClock
from rekindle.errors import HomeBusy, RekindleError, SourceError, Stopped, UnknownName
from rekindle.store import loops, open_store

__all__ = ["HomeFlag", "JsonFlag", "Target", "each", "opened"]

T = TypeVar("T")
HERE = "loops.py"

Target = Annotated[str | None, Parameter(help="loops.py, loops.py:NAME, or a NAME or glob known to the home")]
HomeFlag = Annotated[
    Path | None, Parameter(name="--home", help="folder with the control database and the models")
]
JsonFlag = Annotated[bool, Parameter(name="--json", negative="", help="print JSON")]


def opened(target: str | None, home: Path | None, **flags: Any) -> tuple[Home, list[str]]:
    """The home and the names the target stands for.

    Without a target: loops.py of this folder, else every loop known to the home. A NAME is looked for in both.
    """
    settings, _ = load_settings({"home": home, **flags})
    if target is None:
        target = HERE if Path(HERE).is_file() else "*"
    path, pattern = split_target(target)
    if path.endswith(".py"):
        declared = load_loops(path)
        names = matching([loop.name for loop in declared.loops], pattern or "*")
        return Home([declared], settings), names
    files = _files(settings, path)
    held = [loop.name for file in files for loop in file.loops]
    return Home(files, settings), matching(held, path)


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


def _files(settings: Settings, pattern: str) -> list[LoopsFile]:
    """loops.py of this folder, and the files that hold what else the home knows by this name or glob."""
    here = [load_loops(HERE)] if Path(HERE).is_file() else []
    mine = {loop.name for file in here for loop in file.loops}
    known = _known(settings, must=not here)
    found = {name: file for name, file in known.items() if name not in mine and fnmatchcase(name, pattern)}
    if not found and not any(fnmatchcase(name, pattern) for name in mine):
        raise UnknownName("loop", pattern, {*mine, *known})
    there = [load_loops(file) for file in sorted(set(found.values()))]
    kept = [replace(f, loops=tuple(loop for loop in f.loops if loop.name not in mine)) for f in there]
    held = {loop.name for file in kept for loop in file.loops}
    for name, path in found.items():
        if name not in held and name == pattern:
            raise SourceError(f"{path} no longer holds the loop {name!r}; put it back, or name another file")
    return [*here, *kept]


def _known(settings: Settings, *, must: bool) -> dict[str, str]:
    """Loops the home has met, with their files; those declared in a notebook have none."""
    place = Path(settings.home).expanduser().absolute()
    if not settings.database and not (place / "rekindle.db").is_file():
        if not must:
            return {}
        raise SourceError(
            f"there is no loops.py here and no home in {place}. Begin with `rekindle init NAME`, or name a loops file."
        )
    with open_store(settings.database or place / "rekindle.db", SystemClock()) as store, store.read() as conn:
        return {loop.name: loop.file for loop in loops.newest(conn) if loop.file}

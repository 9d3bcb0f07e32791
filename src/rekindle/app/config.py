"""Settings in rising strength: `[tool.rekindle]` in pyproject.toml, `REKINDLE_*`, flags. Nothing else is read."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rekindle.errors import ConfigError, did_you_mean

__all__ = ["Origin", "Settings", "load_settings"]

PREFIX = "REKINDLE_"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
KINDS: dict[str, tuple[Any, str]] = {
    "Path": (Path, "a path"),
    "str": (str, "text"),
    "float": (float, "a number"),
    "int": (int, "a whole number"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set outside a loops file. Each field's comment is its help."""

    home: Path = Path(".rekindle")  # folder with the control database, snapshots and models
    database: str = ""  # URL of the control database; empty: SQLite in the home
    train_seconds: float = 3600.0  # time limit of one training
    train_memory_mb: int = 0  # memory limit of one training; 0: none
    threads: int = 1  # OpenMP threads of one training
    poll_seconds: float = 1.0  # how often `up` looks for due loops and commands
    approval_days: float = 7.0  # an approval nobody gave lapses after this
    log_level: str = "WARNING"  # DEBUG, INFO, WARNING or ERROR

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            wrong = _wrong(name, getattr(self, name))
            if wrong:
                raise ConfigError(name, getattr(self, name), "the settings", wrong)


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting, its value and where it came from."""

    name: str
    value: Any
    origin: str  # "default", a file, an environment variable, or "flag"


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> tuple[Settings, list[Origin]]:
    """The settings in force and where each came from.

    A relative path in pyproject.toml is read from that file's folder; an empty variable counts as not set. Variables
    that begin with REKINDLE_ and are no setting are left alone: they may be your secrets. Raises ConfigError for an
    unknown name (with the nearest known one) or a value of the wrong kind.
    """
    found: dict[str, tuple[Any, str]] = {f.name: (f.default, "default") for f in fields(Settings)}
    path, section = _pyproject(folder or Path.cwd())
    _take(found, section, lambda name: f"{path}, [tool.rekindle]")
    named = {k[len(PREFIX) :].lower(): v for k, v in environ.items() if k.startswith(PREFIX) and v}
    _take(found, {k: v for k, v in named.items() if k in found}, lambda name: PREFIX + name.upper())
    _take(found, {k: v for k, v in (flags or {}).items() if v is not None}, lambda name: f"flag --{name}")
    values = {name: _typed(name, value, origin) for name, (value, origin) in found.items()}
    if "home" in section and found["home"][1].startswith(str(path)):
        values["home"] = path.parent / Path(values["home"]).expanduser()
    origins = [Origin(name, values[name], origin) for name, (_, origin) in found.items()]
    return Settings(**values), origins


def _pyproject(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if path.is_file():
            try:
                whole = tomllib.loads(path.read_text())
            except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    "pyproject.toml", str(path), "the file system", f"mend it: {error}"
                ) from error
            tools = whole.get("tool", {})
            section = tools.get("rekindle", {}) if isinstance(tools, dict) else {}
            if not isinstance(section, dict):
                raise ConfigError("rekindle", section, f"{path}, [tool]", "give a table: [tool.rekindle]")
            return path, section
    return folder / "pyproject.toml", {}


def _take(found: dict[str, tuple[Any, str]], given: Mapping[str, Any], origin: Any) -> None:
    for name, value in given.items():
        if name not in found:
            raise ConfigError(name, value, origin(name), did_you_mean(name, found))
        found[name] = (value, origin(name))


def _typed(name: str, value: Any, origin: str) -> Any:
    kinds = {f.name: str(f.type) for f in fields(Settings)}
    kind, words = KINDS[kinds[name]]
    try:
        if isinstance(value, bool) or (kind in (Path, str) and not isinstance(value, (str, Path))):
            raise ValueError
        typed = kind(value)
        if kind is int and typed != float(value):
            raise ValueError  # 1.5 threads
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(name, value, origin, f"give {words}") from None
    wrong = _wrong(name, typed)
    if wrong:
        raise ConfigError(name, value, origin, wrong)
    return typed


def _wrong(name: str, value: Any) -> str:
    """What to write instead of a value that is out of bounds; empty when all is well."""
    if name in ("train_seconds", "poll_seconds", "approval_days") and not 0 < value < math.inf:
        return "give a number above 0"
    if name == "threads" and value < 1:
        return "give 1 or more"
    if name == "train_memory_mb" and value < 0:
        return "give megabytes, or 0 for no limit"
    if name == "log_level" and value not in LEVELS:
        return f"give {', '.join(LEVELS)}"
    return ""

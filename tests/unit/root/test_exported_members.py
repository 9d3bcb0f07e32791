"""The public surface: whole, sorted, small, and free of names that hide a module."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import rekindle as rk

ROOT = Path(rk.__file__).parent
PACKAGES = ["rekindle", *(m.name for m in pkgutil.walk_packages([str(ROOT)], "rekindle.") if m.ispkg)]


def modules_of(package):
    folder = ROOT.joinpath(*package.split(".")[1:])
    return {m.name for m in pkgutil.iter_modules([str(folder)])}


def as_ruff_sorts(name):
    """Constants, classes, the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def test_all_is_sorted_and_small():
    assert rk.__all__ == sorted(rk.__all__, key=as_ruff_sorts)
    assert len(set(rk.__all__)) == len(rk.__all__)
    assert len(rk.__all__) <= 80


def test_every_public_name_is_there():
    for name in rk.__all__:
        assert getattr(rk, name) is not None
    assert dir(rk) == sorted(rk.__all__)


def test_all_is_what_can_be_had():
    """`__all__`, the lazy table and the imports that type checkers see name the same things."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    seen_by_checkers = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        for imported in node.body
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
    }
    assert seen_by_checkers | {"__version__"} == set(rk.__all__)
    assert set(rk._HOMES) | {"__version__"} == set(rk.__all__)


def test_checkers_and_programs_get_the_same_objects():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rekindle."):
            for alias in node.names:
                found = getattr(importlib.import_module(node.module), alias.name)
                assert getattr(rk, alias.asname or alias.name) is found


@pytest.mark.parametrize("name", ["Loops", "loop_", "pandas", "_nothing"])
def test_other_names_are_not(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        getattr(rk, name)


def test_no_public_function_hides_a_module():
    """`rekindle.retrain` must stay the module, whatever is exported beside it."""
    for name in rk.__all__:
        thing = getattr(rk, name)
        if inspect.isfunction(thing):
            home = thing.__module__.rpartition(".")[0]
            assert name not in modules_of("rekindle"), f"rk.{name} hides rekindle.{name}"
            assert thing.__name__ not in modules_of(home), (
                f"{thing.__module__}.{name} is named like a module beside it"
            )


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_exports_the_name_of_its_module(package):
    exported = set(getattr(importlib.import_module(package), "__all__", ()))
    assert not exported & modules_of(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_module_exports_is_there(package):
    for name in sorted(modules_of(package)):
        if package.endswith("migrations.versions") or (package, name) == ("rekindle.store.migrations", "env"):
            continue  # only alembic runs these
        try:
            module = importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError:
            if package == "rekindle.contrib":  # only these may need what is not installed
                continue
            raise
        for member in getattr(module, "__all__", ()):
            assert hasattr(module, member), f"{package}.{name}.{member}"


def imported_by(statement):
    code = f"import sys\n{statement}\nprint(' '.join(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


HEAVY = {
    "pandas",
    "numpy",
    "sklearn",
    "scipy",
    "sqlalchemy",
    "duckdb",
    "alembic",
    "skops",
    "rich",
    "cyclopts",
}


def test_importing_rekindle_imports_nothing_heavy():
    assert not HEAVY & imported_by("import rekindle; rekindle.__version__; dir(rekindle); rekindle.env('X')")
    assert not HEAVY & imported_by("from rekindle import RekindleError")

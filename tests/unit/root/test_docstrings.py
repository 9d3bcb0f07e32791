"""Every example in a docstring runs."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import rekindle

ROOT = Path(rekindle.__file__).parent
NOT_OURS_TO_RUN = ("rekindle.store.migrations",)  # alembic runs these
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages([str(ROOT)], "rekindle.")
    if not m.name.startswith(NOT_OURS_TO_RUN)
    and ">>>" in (importlib.util.find_spec(m.name).loader.get_source(m.name) or "")
)


def test_there_are_examples():
    assert len(MODULES) > 10


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        if name.startswith("rekindle.contrib."):
            pytest.skip(f"{name} needs an extra that is not installed")
        raise
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.attempted
    assert not found.failed, f"{found.failed} of {found.attempted} examples of {name} fail; see above"

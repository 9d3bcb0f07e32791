"""One warm nursery per test file, and the same without fork: most tests run on both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rekindle.engine import Nursery

PRELOAD = ("cloudpickle", "threadpoolctl", "numpy.random")


@pytest.fixture(scope="module")
def forked(request: pytest.FixtureRequest) -> Iterator[Nursery]:
    with Nursery(PRELOAD, by_value=[request.module]) as nursery:
        yield nursery


@pytest.fixture(scope="module")
def fresh(request: pytest.FixtureRequest) -> Iterator[Nursery]:
    with Nursery(PRELOAD, by_value=[request.module], fork=False) as nursery:
        yield nursery


@pytest.fixture(params=["forked", "fresh"])
def nursery(request: pytest.FixtureRequest) -> Nursery:
    found: Nursery = request.getfixturevalue(request.param)
    return found

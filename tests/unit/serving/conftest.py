"""One slot with a counting loader for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving_toys import Loader

from rekindle.serving import Slot


@pytest.fixture
def load() -> Loader:
    return Loader()


@pytest.fixture
def slot(load: Loader) -> Iterator[Slot]:
    slot = Slot(load)
    yield slot
    slot.close()

"""Which batches judge a candidate: the newest labelled ones that neither model has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["judging_batches"]

MINIMUM_ROWS = 200  # one batch with fewer labelled rows is joined by older ones
MOST_BATCHES = 4


def judging_batches(
    batch: NDArray[np.int64], labelled: NDArray[np.bool_], champion_seen: int | None
) -> tuple[int, ...]:
    """The batches a twin is fitted without, so that it and the champion can be compared on them.

    Parameters: `batch` number of each row of the snapshot; `labelled` whether its label is known;
    `champion_seen` newest batch the champion was fitted on (None: there is no champion).

    The newest labelled batch; older ones join while the rows are few, at most four, and never one that the
    champion has seen, nor so many that less than half of the labelled rows would be left to fit on. Empty when
    no such batch exists.

    >>> judging_batches(np.repeat([0, 1, 2], 300), np.ones(900, bool), champion_seen=0)
    (2,)
    """
    numbers, counts = np.unique(batch[labelled], return_counts=True)
    chosen: list[int] = []
    rows = 0
    for number, count in zip(numbers[::-1], counts[::-1], strict=True):
        fresh = champion_seen is None or number > champion_seen
        if not fresh or len(chosen) == MOST_BATCHES or 2 * (rows + count) > counts.sum():
            break
        chosen.append(int(number))
        rows += int(count)
        if rows >= MINIMUM_ROWS:
            break
    return tuple(sorted(chosen))

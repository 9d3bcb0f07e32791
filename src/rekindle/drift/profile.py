"""A feature's reference as a grid of cells, and how many rows of a window fall into each. Counts add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.drift.columns import kind_of, level_counts, to_numbers
from rekindle.errors import DeclarationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rekindle.records import Floats

__all__ = ["Grid"]

VERSION = 1  # raise it with the layout below; Grid.from_json then has to read the old one as well

FEW = 20  # so many distinct numbers, each repeated, are taken one by one
MOST_LEVELS = 250  # the commonest levels have a cell of their own, the others share one
SORT_ABOVE = 24  # edges; from there on one sort is quicker than a pass per edge
BLOCK = 65_536  # rows that stay in the cache while all edges pass over them
POOLED_BELOW = 5  # rows expected; levels rarer than that are compared together
NEVER_POOLED = 0.05  # share of the reference


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """Cells laid by a reference sample; made by `Grid.fit`.

    Three kinds. "bins": between the reference's quantiles, the outer bins open, so that no value can vanish
    (inf is counted there); a value that holds more than one bin's share has a bin of its own. "values": numbers
    with at most 20 distinct values, and bools: a cell each. "levels": categories and text, the 250 commonest a
    cell each. Bins are closed below and open above, as in numpy.histogram.

    Counts are laid out as: bins, missing. For the two other kinds: levels, other, unseen, missing; "other" are
    levels of the reference beyond the 250, "unseen" levels it never had. Where the reference had more than 250
    the two cannot be told apart, and both are "other".

    >>> grid = Grid.fit(np.arange(100.0))
    >>> grid.count([-5.0, 50.0, 1e9, np.inf, np.nan])
    array([1, 0, 0, 0, 0, 1, 0, 0, 0, 2, 1])
    """

    kind: str  # "bins", "values" or "levels"
    edges: Floats  # inner edges, ascending ("bins"), or the distinct values ("values"); else empty
    levels: tuple[str, ...]  # level names, commonest first; empty for numbers
    counts: NDArray[np.int64]  # the reference's own counts

    @classmethod
    def fit(cls, values: Any, bins: int = 10) -> Grid:
        """The grid of a reference sample, with `bins` quantile bins for numbers of many values.

        The quantiles are numpy.percentile's, to the last bit. Datetimes are refused: they drift by nature.
        """
        if not isinstance(bins, int) or isinstance(bins, bool) or bins < 2:
            raise DeclarationError("bins", bins, "give a whole number of bins, 2 or more")
        kind = kind_of(values)
        if kind == "levels":
            return cls._of_levels(values)
        if kind != "numbers":
            instead = "times drift by nature; leave the column out, or give differences"
            raise DeclarationError("values", f"a column of {kind}", instead)
        return cls._of_numbers(to_numbers(values), bins)

    @classmethod
    def _of_numbers(cls, numbers: Floats, bins: int) -> Grid:
        finite = np.sort(numbers[np.isfinite(numbers)])
        first = np.flatnonzero(np.append(True, finite[1:] != finite[:-1])[: finite.size])
        distinct, rows = finite[first], np.diff(np.append(first, finite.size))
        if 0 < distinct.size <= FEW and 2 * distinct.size <= finite.size:
            return cls("values", distinct, (), _count_values(numbers, distinct))
        edges = _quantile_edges(finite, bins)
        heavy = distinct[rows * bins > finite.size]
        edges = np.unique(np.concatenate([edges, heavy, _just_above(heavy)]))
        edges = edges[np.isfinite(edges)]  # above the largest number there is none
        return cls("bins", edges, (), _count_bins(numbers, edges))

    @classmethod
    def _of_levels(cls, values: Any) -> Grid:
        tally, missing = level_counts(values)
        kept = nsmallest(MOST_LEVELS, tally.items(), key=lambda level: (-level[1], level[0]))
        other = sum(tally.values()) - sum(rows for _, rows in kept)
        counts = np.array([*(rows for _, rows in kept), other, 0, missing], dtype=np.int64)
        return cls("levels", np.empty(0), tuple(name for name, _ in kept), counts)

    def count(self, values: Any) -> NDArray[np.int64]:
        """Rows per cell, laid out as `counts`; they add up to the number of rows given.

        Never fails: what is no number counts as missing in a grid of numbers.
        """
        if self.kind == "bins":
            return _count_bins(to_numbers(values), self.edges)
        if self.kind == "values":
            return _count_values(to_numbers(values), self.edges)
        return self._count_levels(values)

    def _count_levels(self, values: Any) -> NDArray[np.int64]:
        tally, missing = level_counts(values)
        own = [tally.pop(name, 0) for name in self.levels]
        rest = sum(tally.values())
        other, unseen = (rest, 0) if self.counts[-3] else (0, rest)
        return np.array([*own, other, unseen, missing], dtype=np.int64)

    def compared(self, current: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Counts of the reference and of a window, cell by cell, missing left out, as distances want them.

        Levels too rare to be judged (less than 5 rows expected and less than 5 % of the reference), "other" and
        "unseen" are one cell: with the usual floor of 1e-8 a hundred rare levels alarm without any drift.
        """
        if self.kind == "bins":
            return self.counts[:-1], current[:-1]
        own, seen = self.counts[:-3], current[:-3]
        rows = max(int(self.counts[:-1].sum()), 1)
        share = own / rows
        rare = (share * min(rows, int(current[:-1].sum())) < POOLED_BELOW) & (share < NEVER_POOLED)
        rest = [
            int(own[rare].sum() + self.counts[-3] + self.counts[-2]),
            int(seen[rare].sum() + current[-3] + current[-2]),
        ]
        return np.append(own[~rare], rest[0]), np.append(seen[~rare], rest[1])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with a "version"."""
        return {
            "version": VERSION,
            "kind": self.kind,
            "edges": self.edges.tolist(),
            "levels": list(self.levels),
            "counts": self.counts.tolist(),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Grid:
        """The reverse of `to_json`; raises DeclarationError (a ValueError) for a version it does not know."""
        version = written.get("version")
        if version != VERSION:
            raise DeclarationError("version", version, f"this rekindle reads grids of version {VERSION}")
        edges = np.array(written["edges"], dtype=np.float64)
        counts = np.array(written["counts"], dtype=np.int64)
        return cls(written["kind"], edges, tuple(written["levels"]), counts)


def _quantile_edges(finite: Floats, bins: int) -> Floats:
    if not finite.size:
        return np.empty(0)
    with np.errstate(all="ignore"):  # between -1.7e308 and 1.7e308 the interpolation overflows
        inner: Floats = np.percentile(finite, np.linspace(0, 100, bins + 1))[1:-1]
    return np.unique(inner[np.isfinite(inner)])


def _just_above(numbers: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.nextafter(numbers, np.inf)


def _count_bins(numbers: Floats, edges: Floats) -> NDArray[np.int64]:
    below, valid = _below(numbers, edges)
    return np.diff(np.concatenate([[0], below, [valid, numbers.size]]))


def _count_values(numbers: Floats, distinct: Floats) -> NDArray[np.int64]:
    edges = np.stack([distinct, _just_above(distinct)], axis=1).ravel()
    below, valid = _below(numbers, edges)
    own = below[1::2] - below[::2]
    return np.concatenate([own, [0, valid - own.sum(), numbers.size - valid]])


def _below(numbers: Floats, edges: Floats) -> tuple[NDArray[np.int64], int]:
    """How many numbers lie below each edge, and how many are not NaN."""
    if edges.size > SORT_ABOVE:
        ordered = np.sort(numbers)  # NaN last
        valid = numbers.size - int(np.count_nonzero(np.isnan(ordered)))
        return np.searchsorted(ordered[:valid], edges, side="left").astype(np.int64), valid
    above = np.zeros(edges.size, dtype=np.int64)
    missing = 0
    for start in range(0, numbers.size, BLOCK):
        block = numbers[start : start + BLOCK]
        missing += int(np.count_nonzero(np.isnan(block)))
        above += np.array([np.count_nonzero(block >= edge) for edge in edges], dtype=np.int64)
    return numbers.size - missing - above, numbers.size - missing

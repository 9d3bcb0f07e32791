"""Batches and losses: what policies read, and late labels that replace early scores."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rekindle.errors import UnknownName
from rekindle.records import Span
from rekindle.store import Store, batches

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _batch(seq: int, labelled: int = 10, quarantined: int = 0) -> batches.StoredBatch:
    day = timedelta(days=1)
    span = Span(seq, START + seq * day, START + (seq + 1) * day)
    return batches.StoredBatch("churn", span, 10, labelled, quarantined, START, {"late": seq})


def _score(seq: int, version: int, loss: float, metric: float | None = None) -> batches.BatchLoss:
    return batches.BatchLoss("churn", seq, version, loss, 10, metric, START)


def test_a_batch_comes_back(store: Store) -> None:
    with store.begin() as conn:
        assert batches.last(conn, "churn") is None
        for seq in (0, 1, 2):
            batches.add(conn, _batch(seq))
        assert batches.last(conn, "churn") == _batch(2)
        assert batches.get(conn, "churn", 1) == _batch(1)
        assert batches.last(conn, "fraud-eu") is None
        with pytest.raises(UnknownName, match="batch of 'churn'"):
            batches.get(conn, "churn", 9)


def test_batches_on_an_index(store: Store) -> None:
    batch = replace(_batch(0), span=Span(0, 100, 200))
    with store.begin() as conn:
        batches.add(conn, batch)
        assert batches.get(conn, "churn", 0).span == Span(0, 100, 200)


def test_open_batches_wait_for_labels_of_rows_not_in_quarantine(store: Store) -> None:
    with store.begin() as conn:
        for seq, (labelled, quarantined) in enumerate([(3, 0), (10, 0), (7, 3), (0, 0), (9, 0)]):
            batches.add(conn, _batch(seq, labelled, quarantined))
        assert [batch.span.seq for batch in batches.open_batches(conn, "churn", 10)] == [0, 3, 4]
        assert [batch.span.seq for batch in batches.open_batches(conn, "churn", 2)] == [3, 4]
        batches.update_labelled(conn, "churn", 3, 10)
        assert [batch.span.seq for batch in batches.open_batches(conn, "churn", 10)] == [0, 4]


def test_late_labels_replace_a_score(store: Store) -> None:
    with store.begin() as conn:
        batches.put_loss(conn, _score(0, 1, 0.5))
        batches.put_loss(conn, _score(0, 1, 0.25, 0.9))
        batches.put_loss(conn, _score(0, 2, 0.125))
        batches.put_loss(conn, _score(1, 1, np.float32(0.75)))  # type: ignore[arg-type]
        assert batches.losses(conn, "churn") == {1: {0: 0.25, 1: 0.75}, 2: {0: 0.125}}
        assert batches.losses(conn, "churn", since=1) == {1: {1: 0.75}}
        assert batches.losses(conn, "fraud-eu") == {}


def test_the_metric_has_a_history(store: Store) -> None:
    with store.begin() as conn:
        for seq in (2, 0, 1):
            batches.put_loss(conn, _score(seq, 1, 0.5, seq / 10))
        batches.put_loss(conn, _score(1, 2, 0.5))
        assert [(found.seq, found.version, found.metric) for found in batches.history(conn, "churn")] == [
            (0, 1, 0.0),
            (1, 1, 0.1),
            (1, 2, None),
            (2, 1, 0.2),
        ]
        assert [found.seq for found in batches.history(conn, "churn", since=1, version=1)] == [1, 2]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_is_a_number(store: Store, loss: float) -> None:
    with store.begin() as conn, pytest.raises(ValueError, match="version 1 on batch 0"):
        batches.put_loss(conn, _score(0, 1, loss))

"""The price of a retraining: money in, units of loss out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import DeclarationError
from rekindle.policy.price import Price

AMOUNTS = st.floats(0.001, 1e6)


@pytest.mark.parametrize(
    ("price", "rows", "cpu_hours", "in_loss"),
    [
        (Price(per_retrain=4, per_error=0.35), 1000, 0, 4 / 350),
        (
            Price(per_retrain=4, per_error=0.35),
            1000,
            10,
            4 / 350,
        ),  # computing costs nothing unless it is said
        (Price(per_retrain=4, per_error=0.5, per_cpu_hour=2), 100, 3, 10 / 50),
        (Price(per_retrain=0, per_error=1, per_cpu_hour=2), 10, 0.5, 0.1),
        (Price(per_retrain=4, per_error=2), 0, 0, 2.0),  # no batch is smaller than one row
        (Price.ratio(0.02), 1, 0, 0.02),
        (Price.ratio(0.02), 1_000_000, 5, 0.02),
    ],
)
def test_money_becomes_loss(price, rows, cpu_hours, in_loss):
    assert price.in_loss(rows, cpu_hours) == pytest.approx(in_loss)


@given(AMOUNTS, AMOUNTS, st.integers(1, 10**7), st.floats(1.1, 100))
def test_dearer_errors_and_larger_batches_make_retraining_cheaper(retrain, error, rows, times):
    price = Price(retrain, error)
    assert price.in_loss(rows) * rows * error == pytest.approx(retrain)
    assert Price(retrain, error * times).in_loss(rows) < price.in_loss(rows)
    assert price.in_loss(rows + 1) < price.in_loss(rows)
    assert Price(retrain * times, error).in_loss(rows) > price.in_loss(rows)


WRONG = [math.nan, math.inf, -math.inf, -1, -0.001, True, "4", None, [4], 1j]


@pytest.mark.parametrize("field", ["per_retrain", "per_error", "per_cpu_hour"])
@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_an_amount_is_a_number_that_is_not_below_zero(field, value):
    with pytest.raises(DeclarationError, match="amount of money") as caught:
        Price(**{"per_retrain": 4, "per_error": 0.35, field: value})
    assert caught.value.field == field


def test_free_errors_and_free_retrainings_are_refused():
    with pytest.raises(DeclarationError, match="never justify"):
        Price(4, 0)
    with pytest.raises(DeclarationError, match="what a retraining costs"):
        Price(0, 1)


@pytest.mark.parametrize("value", [*WRONG, 0], ids=repr)
def test_a_ratio_is_above_zero(value):
    with pytest.raises(DeclarationError, match="ratio="):
        Price.ratio(value)


@pytest.mark.parametrize("currency", ["", "euro", "eur", "EURO", None, 5, "€"])
def test_a_currency_is_a_code(currency):
    with pytest.raises(DeclarationError, match="currency="):
        Price(4, 1, currency=currency)


def test_numbers_of_numpy_are_numbers():
    assert Price(np.float32(4), np.int64(2)) == Price(4.0, 2.0)
    assert Price.ratio(np.float64(0.5)).in_loss(3) == 0.5


def test_it_is_told_in_its_own_unit():
    assert str(Price.ratio(0.02)) == "0.02 of one batch's loss"
    assert str(Price(4, 0.35, currency="EUR")) == "4 EUR a retraining, 0.35 EUR an error"
    assert str(Price(4, 1, per_cpu_hour=0.5)) == "4 USD a retraining and 0.5 USD a CPU hour, 1 USD an error"

"""PSI by the guide's own formula (checklist row 3), and where that formula is mistaken (row 89)."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from rekindle.drift import Psi, psi, psi_from_counts


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def plain_psi(reference, current, bins=10):
    """The guide's code: ten bins of the training data, first edge -1e-8, shares clipped at 1e-8."""
    edges = np.percentile(reference, np.linspace(0, 100, bins + 1))
    edges[0] -= 1e-8
    p = np.clip(np.histogram(reference, edges)[0] / len(reference), 1e-8, None)
    q = np.histogram(current, edges)[0]
    q = np.clip(q / q.sum(), 1e-8, None)
    return float(np.sum((q - p) * np.log(q / p)))


@pytest.mark.parametrize("bins", [5, 10, 20])
def test_row_3_equals_the_guide_inside_the_reference_range(rng, bins):
    reference = rng.normal(size=5_000)
    current = np.clip(rng.normal(0.4, 1.1, 2_000), reference.min(), reference.max())
    assert psi(reference, current, bins) == pytest.approx(plain_psi(reference, current, bins), rel=1e-12)


def test_row_3_missing_values_are_dropped_from_both(rng):
    reference, current = rng.normal(size=2_000), rng.normal(0.3, size=1_000)
    holed = np.insert(current, [10, 20], np.nan)
    assert psi(np.append(reference, np.nan), holed) == psi(reference, current)


def test_row_89_values_outside_the_training_bins_raise_the_index(rng):
    """40 % of the window jumps to 50. The guide's histogram drops them and sees next to nothing."""
    reference, current = rng.normal(size=20_000), rng.normal(size=10_000)
    current[:4_000] = 50.0
    assert plain_psi(reference, current) < 0.01
    assert psi(reference, current) > 0.5


def test_row_89_a_window_wholly_outside_is_no_nan(rng):
    reference = rng.normal(size=5_000)
    assert psi(reference, np.full(1_000, 1e9)) > 1.0


def test_the_floor_is_the_score_of_an_empty_cell():
    """10 % of the mass moved out of one bin: 1.67 with a floor of 1e-8, 0.76 with 1e-4."""
    reference, current = np.full(10, 100), np.array([0, 200, *[100] * 8])
    assert psi_from_counts(reference, current) == pytest.approx(1.68, abs=0.01)
    assert psi_from_counts(reference, current, floor=1e-4) == pytest.approx(0.76, abs=0.01)


def test_without_drift_the_index_is_its_bias_on_average(rng):
    """Facts: 9 (1/n + 1/m), 0.045 with 200 rows on either side."""
    drawn = [psi(rng.normal(size=400), rng.normal(size=400)) for _ in range(200)]
    assert drawn[0].bias == pytest.approx(9 * 2 / 400)
    assert np.mean([float(value) for value in drawn]) == pytest.approx(drawn[0].bias, rel=0.2)
    assert np.mean([value.corrected for value in drawn]) < drawn[0].bias


def test_the_bins_add_up_to_the_index(rng):
    result = psi(rng.normal(size=1_000), rng.normal(1.0, size=1_000))
    assert sum(result.by_bin) == pytest.approx(float(result))
    assert len(result.by_bin) == 10


def test_counts_of_different_grids_are_refused():
    with pytest.raises(ValueError, match="3 and 2 cells"):
        psi_from_counts(np.ones(3, int), np.ones(2, int))


def test_a_result_survives_copies():
    result = Psi(0.5, (0.2, 0.3), 0.1, "why")
    for twin in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert (twin, twin.by_bin, twin.bias, twin.insufficient) == (0.5, (0.2, 0.3), 0.1, "why")


def test_the_room_imports_numpy_only():
    probe = "import sys, rekindle.drift; print({'pandas', 'scipy', 'sklearn'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"

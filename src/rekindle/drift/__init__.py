"""How far two samples lie apart: bin counts that add up, and distances between them. Imports NumPy only."""

from rekindle.drift.profile import Grid
from rekindle.drift.two_sample import Psi, psi, psi_from_counts

__all__ = ["Grid", "Psi", "psi", "psi_from_counts"]

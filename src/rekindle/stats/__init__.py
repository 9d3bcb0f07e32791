"""Row losses, metrics, and the tests that compare them. Imports NumPy only; scipy inside the functions that need it."""

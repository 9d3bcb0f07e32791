"""Rows: where they come from, what was known when, which may train, and how they are frozen."""

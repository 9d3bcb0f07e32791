"""Fitting models: the adapter for sklearn-like estimators, and the job a training child carries out."""

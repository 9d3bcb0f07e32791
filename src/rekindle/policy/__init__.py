"""Deciding: the price of a retraining, the guards, and the rules that weigh one against the other."""

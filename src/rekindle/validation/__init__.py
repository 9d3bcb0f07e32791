"""Candidate and champion on the same later rows, and the gates that judge them."""

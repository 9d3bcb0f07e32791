"""The demo: a stream replayed through the very same tick and run code, against never and always retraining."""

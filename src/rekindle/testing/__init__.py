"""Conformance suites for every plug-in protocol: subclass one in your tests and pytest runs it."""

"""Serving: models that answer, and how a new one takes over without dropping a request."""

from __future__ import annotations

from rekindle.serving.slot import ANY, Answer, Servable, Slot

__all__ = ["ANY", "Answer", "Servable", "Slot"]

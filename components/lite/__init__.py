"""Converts the trained model to TF Lite and compares what came out with it."""

from components.lite.component import LiteConverter

__all__ = ["LiteConverter"]

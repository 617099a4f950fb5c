"""The model that a candidate is compared with."""

from components.baseline.strategy import ServedBaseline

LatestBlessedBaseline = ServedBaseline

__all__ = ["LatestBlessedBaseline", "ServedBaseline"]

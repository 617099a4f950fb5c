"""The model that a candidate is compared with."""

from components.baseline.strategy import LatestBlessedBaseline

__all__ = ["LatestBlessedBaseline"]

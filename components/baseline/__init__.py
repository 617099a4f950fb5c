"""The model that a candidate is compared with."""

from components.baseline.strategy import ServedBaseline

__all__ = ["ServedBaseline"]

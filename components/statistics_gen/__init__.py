"""TFX's StatisticsGen, computed in large batches on one machine."""

from components.statistics_gen.component import StatisticsGen

__all__ = ["StatisticsGen"]

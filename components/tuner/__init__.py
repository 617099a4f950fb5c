"""TFX's Tuner over the settings of a task, and the resolver that finds what an earlier run's search found."""

from components.tuner.component import Tuner
from components.tuner.strategy import LatestTuned

__all__ = ["LatestTuned", "Tuner"]

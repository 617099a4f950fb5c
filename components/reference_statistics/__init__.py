"""The statistics that new data is compared with: of the previous accepted data, and of what the served model learned."""

from components.reference_statistics.strategy import PreviousStatistics, ServedStatistics

__all__ = ["PreviousStatistics", "ServedStatistics"]

"""Every check on the data, before anything learns from it."""

from components.data_checks.component import DataChecks

__all__ = ["DataChecks"]

"""Serves the candidate by a real server, asks it, and judges the answers."""

from components.serving_check.component import ServingCheck
from components.serving_check.executor import Executor

__all__ = ["Executor", "ServingCheck"]

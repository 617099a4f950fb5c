"""What a candidate is worth, beside the model that is served, and whether that is enough to promote it."""

from components.evaluator.component import Evaluator
from components.evaluator.executor import Executor

__all__ = ["Evaluator", "Executor"]

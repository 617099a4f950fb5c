"""Answers the rows of a batch with the model that a run has pushed."""

from components.bulk_inferrer.component import BulkInferrer

__all__ = ["BulkInferrer"]

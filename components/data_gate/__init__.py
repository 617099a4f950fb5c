"""Stops a run on data that the schema does not allow."""

from components.data_gate.component import DataGate

__all__ = ["DataGate"]

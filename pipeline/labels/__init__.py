"""The kinds of label: what is predicted, from which columns, with which loss and output."""

from pipeline.labels.base import Label, Scale
from pipeline.labels.binary import Binary
from pipeline.labels.classes import Classes, MultiClass, MultiLabel
from pipeline.labels.regression import Regression

__all__ = ["Binary", "Classes", "Label", "MultiClass", "MultiLabel", "Regression", "Scale"]

"""How a task's model is trained: plain settings, no TensorFlow."""

from pipeline.training.optimizers import Adam, AdamW, Optimizer, RmsProp, Sgd
from pipeline.training.schedules import Constant, Cosine, Exponential, LearningRate
from pipeline.training.spec import EarlyStopping, Training

__all__ = [
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "EarlyStopping",
    "Exponential",
    "LearningRate",
    "Optimizer",
    "RmsProp",
    "Sgd",
    "Training",
]

"""The model that a training starts from."""

from components.warm_start.strategy import EarlierModel

__all__ = ["EarlierModel"]

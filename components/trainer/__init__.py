"""TFX's Trainer with the raw rows at hand, so that an export can be proved before it is released."""

from components.trainer.component import Trainer

__all__ = ["Trainer"]

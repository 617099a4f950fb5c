"""What was measured at a step."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Validation:
    """One validation.

    Attributes:
      step: after how many steps.
      values: "loss" (the mean over the steps since the last validation, with class weights and regularisation),
        "val_loss" and "val_<metric>" (of the eval split), "learning_rate" (of the last step).
    """

    step: int
    values: dict[str, float]

"""The `run_fn` of TFX's taxi example with the two numbers that it hard-codes, batch size and seed, as parameters.

The example's own function does all the work. Trainer finds this one by its dotted name; `custom_config` carries
`batch_size` (the example's own is 40) and `seed` (None leaves the example unseeded, as it is).
"""

from typing import Any
from unittest.mock import patch

import keras
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.examples.chicago_taxi_pipeline import taxi_utils_native_keras as taxi


def run_fn(fn_args: FnArgs) -> None:
    """Trains the example's model, seeded and with the batch size asked for.

    Args:
        fn_args: Trainer's own; `custom_config` holds `batch_size` and `seed`.
    """
    config: dict[str, Any] = fn_args.custom_config
    if config["seed"] is not None:
        keras.utils.set_random_seed(config["seed"])
    example_input_fn = taxi._input_fn

    def input_fn(files: Any, accessor: Any, graph: Any, _batch_size: int) -> Any:
        return example_input_fn(files, accessor, graph, config["batch_size"])

    with patch.object(taxi, "_input_fn", input_fn):
        taxi.run_fn(fn_args)

"""TFX's generic trainer executor; `custom_config` also has the files of raw eval rows, and which runs it builds on."""

from typing import Any

from tfx import types
from tfx.components.trainer import executor as tfx_trainer
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

RAW_EXAMPLES_KEY = "raw_examples"
RUN_ID = "run_id"
"""Property of hyperparameters: the run whose search found them."""


class Executor(tfx_trainer.GenericExecutor):
    """Adds to `custom_config`.

    `raw_examples`: file patterns of the raw eval split; `run_id`: of this run; `tuned_in`: id of the run that found the
    hyperparameters, or "".
    """

    def _GetFnArgs(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> FnArgs:
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        raw = artifact_utils.get_split_uris(input_dict[RAW_EXAMPLES_KEY], "eval")
        tuned = input_dict.get(standard_component_specs.HYPERPARAMETERS_KEY, [])
        fn_args.custom_config = {
            **fn_args.custom_config,
            RAW_EXAMPLES_KEY: [io_utils.all_files_pattern(uri) for uri in raw],
            "run_id": (self._context.pipeline_run_id if self._context else None) or "",
            "tuned_in": next((a.get_string_custom_property(RUN_ID) for a in tuned), ""),
        }
        return fn_args

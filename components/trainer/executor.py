"""TFX's generic trainer executor; `custom_config` also has the files of raw eval rows."""

from typing import Any

from tfx import types
from tfx.components.trainer import executor as tfx_trainer
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.types import artifact_utils
from tfx.utils import io_utils

RAW_EXAMPLES_KEY = "raw_examples"


class Executor(tfx_trainer.GenericExecutor):
    """Adds `custom_config["raw_examples"]`: file patterns of the raw eval split."""

    def _GetFnArgs(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> FnArgs:
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        raw = artifact_utils.get_split_uris(input_dict[RAW_EXAMPLES_KEY], "eval")
        fn_args.custom_config = {
            **fn_args.custom_config,
            RAW_EXAMPLES_KEY: [io_utils.all_files_pattern(uri) for uri in raw],
        }
        return fn_args

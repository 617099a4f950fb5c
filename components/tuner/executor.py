"""TFX's Tuner executor; beside its results it writes `trials.json`, with the trials that failed and why."""

import json
from pathlib import Path
from typing import Any

from keras_tuner.errors import FatalError
from tfx import types
from tfx.components.tuner import executor as tfx_tuner
from tfx.types import artifact_utils, standard_component_specs

from components.trainer.executor import RUN_ID

TRIALS = "trials.json"


class Executor(tfx_tuner.Executor):
    """Searches, and notes on the best values which run found them."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See TFX's executor.

        Raises:
          MillraceError: no trial ended well, or none could.
        """
        try:
            tuner = tfx_tuner.search(input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False)
        except FatalError as error:
            raise error.__cause__ or error from error
        tfx_tuner.write_best_hyperparameters(tuner, output_dict)
        results = artifact_utils.get_single_uri(output_dict[standard_component_specs.TUNER_RESULTS_KEY])
        (Path(results) / TRIALS).write_text(json.dumps(tuner.report(), indent=1) + "\n", encoding="utf-8")
        (best,) = output_dict[standard_component_specs.BEST_HYPERPARAMETERS_KEY]
        run = self._context.pipeline_run_id if self._context else None
        best.set_string_custom_property(RUN_ID, run or "")

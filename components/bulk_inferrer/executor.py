"""Answers the rows of files with the model of this run, if it was let through.

The artifact holds `account.json` and, where there are answers, `predictions/`: shards of Parquet, `errors/` and their own
account, as `millrace predict` writes them. A model that is not blessed, or was not pushed, answers nothing: the account
then says why, and the node ends well, as a Pusher does that pushes nothing.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components import by_shard, remote_files
from pipeline import mirrored, tasks
from pipeline.errors import UsageError
from pipeline.ingest import files
from pipeline.predict import bucket, models, run
from pipeline.predict.place import ACCOUNT, Place
from pipeline.predict.request import Request

PREDICTIONS = "predictions"
_STAGING = ".staging"
PREDICTED = "predicted"
"""Custom property: 1 where there are answers."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """See the module."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Answers the rows.

        Raises:
          UsageError: `out` holds something else than predictions.
          DataBlocked: files that can't be used.
        """
        remote_files.register()
        result = artifact_utils.get_single_instance(output_dict["inference_result"])
        data = json.loads(exec_properties["data"])["path"]
        reason = _held_back(input_dict)
        if reason:
            logging.warning("nothing predicted: %s", reason)
            account: dict[str, Any] = {"predicted": False, "reason": reason, "data": data}
        else:
            made = Path(result.uri) / PREDICTIONS
            staging = f"{mirrored.named(result.uri)}/{_STAGING}"
            account = {"predicted": True, **self._predict(input_dict, exec_properties, data, made, staging)}
        result.set_int_custom_property(PREDICTED, int(account["predicted"]))
        io_utils.write_string_file(f"{result.uri}/{ACCOUNT}", json.dumps(account, indent=1) + "\n")

    def _predict(
        self,
        input_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
        data: str,
        made: Path,
        staging: str,
    ) -> dict[str, Any]:
        """Answers, and copies the answers to where they are wanted, too; returns the account."""
        task = tasks.load(exec_properties["task"], json.loads(exec_properties["overrides"]))
        model = artifact_utils.get_single_instance(input_dict["model"])
        pushed = input_dict.get("pushed_model", [])
        out = exec_properties["out"]
        in_process = not self._beam_pipeline_args or by_shard.in_process(self._beam_pipeline_args)
        place = Place.of(f"{out}/", "parquet") if out and not files.scheme(out) else None
        if place:
            place.check(data, [], overwrite=True)
        elif out:
            bucket.check_folder(out, overwrite=True)
        try:
            account = run.predict(
                Request(
                    task=task,
                    data=data,
                    out=f"{made}/",
                    model=path_utils.serving_model_path(model.uri),
                    version=pushed[0].get_string_custom_property("pushed_version") if pushed else str(model.id),
                    max_errors=task.rows.max_bad_fraction,
                    beam_args=self._beam_pipeline_args or ("--runner=FnApiRunner",),
                    staging=staging if files.scheme(staging) and not in_process else None,
                ),
                run.to_the_end if in_process else by_shard.run,
            )
        finally:
            models.load.cache_clear()
        if not account["passed"]:
            logging.warning(
                "%s of %s rows have errors: see %s", account["errors"], account["rows"], account["errors_at"]
            )
        if place:
            with place.partial() as folder:
                try:
                    shutil.copytree(made, folder / "whole")
                    place.put(folder / "whole")
                except OSError as error:
                    raise UsageError(f"predict: {place.path} can't be written: {error.strerror or error}") from error
            account["copy"] = str(place.path)
        elif out:
            bucket.put_folder(made, out)
            account["copy"] = out
        return account


def _held_back(input_dict: dict[str, list[types.Artifact]]) -> str:
    """Why the model answers nothing; empty where it may."""
    blessing = artifact_utils.get_single_instance(input_dict["model_blessing"])
    if not model_utils.is_model_blessed(blessing):
        return "the model was not blessed"
    if any(pushed.get_int_custom_property("pushed") != 1 for pushed in input_dict.get("pushed_model", [])):
        return "the model was not pushed"
    return ""

"""Measures, judges and blesses: see docs/evaluation.md."""

import json
import logging
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils, path_utils

from components import by_shard, remote_files
from components.artifacts import FORCED, VERDICTS
from components.evaluator import loaded
from components.evaluator.inference import Ask
from components.evaluator.judge import FORM as JUDGED
from components.evaluator.judge import Judge
from components.evaluator.part import FORM
from components.shards import shards
from pipeline import mirrored, tasks
from pipeline.evidence import report
from pipeline.evidence.standing import Standing
from pipeline.evidence.tables import BASELINE, CANDIDATE
from pipeline.ingest import files
from pipeline.push import history
from pipeline.push.versions import Places

FORCE_REASON = "force_reason"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes what TFMA reads, `evidence.json` beside it, and the blessing as TFX's own executor does.

    With any Beam runner but the in-process one its workers ask the models, and one of them measures: this process holds no
    row. Where the rows are in a bucket, since workers don't reach this machine, they find models and room for answers there,
    too.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates.

        Raises:
          DataBlocked: there is no row to measure on.
          ServingError: the candidate does not load or does not answer.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        remote_files.register()
        task = tasks.load(exec_properties["task"], json.loads(exec_properties["overrides"]))
        (split,) = json_utils.loads(exec_properties[standard_component_specs.EXAMPLE_SPLITS_KEY])
        candidate = artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_KEY])
        baselines = (input_dict.get(standard_component_specs.BASELINE_MODEL_KEY) or [])[:1]
        models = {CANDIDATE: candidate, **dict(zip([BASELINE], baselines, strict=False))}
        paths = {name: path_utils.serving_model_path(model.uri) for name, model in models.items()}
        uri = artifact_utils.get_single_uri(output_dict[standard_component_specs.EVALUATION_KEY])
        examples = input_dict[standard_component_specs.EXAMPLES_KEY]
        rows = [shard for artifact in examples for shard in shards(artifact, split)]
        asked, room = paths, uri
        if any(files.scheme(artifact.uri) for artifact in examples):
            asked, room = {name: mirrored.named(path) for name, path in paths.items()}, mirrored.named(uri)
        standing = (
            Standing("compared", uri=baselines[0].uri)
            if baselines
            else _without_artifact(exec_properties["watched"], candidate.uri)
        )
        ask = Ask(task, _schema(input_dict).SerializeToString(), asked[CANDIDATE], asked.get(BASELINE))
        judge = Judge(task, standing, split, str(exec_properties.get("force") or ""), paths)
        if by_shard.in_process(self._beam_pipeline_args):
            try:
                judged = judge(map(ask, rows))
            finally:
                loaded.forget()
        else:
            workers = by_shard.Workers(self._make_beam_pipeline, f"{room}/.spread")
            judged = workers.whole("Ask", ask, rows, FORM, judge, JUDGED)
        evidence = judged.checked().evidence
        Path(uri).mkdir(parents=True, exist_ok=True)
        for name, content in judged.files.items():
            Path(uri, name).write_bytes(content)
        for verdict in evidence["verdicts"]:
            logging.log(logging.INFO if verdict["passed"] else logging.WARNING, "%s", verdict["reason"])
        io_utils.write_string_file(f"{uri}/{report.NAME}", json.dumps(evidence, indent=1) + "\n")
        blessing = artifact_utils.get_single_instance(output_dict[standard_component_specs.BLESSING_KEY])
        bless(blessing, evidence, candidate, baselines, exec_properties)


def _schema(input_dict: dict[str, list[types.Artifact]]) -> Any:
    folder = artifact_utils.get_single_uri(input_dict[standard_component_specs.SCHEMA_KEY])
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(folder))


def _without_artifact(watched: str, candidate: str) -> Standing:
    """Where there is no artifact of a baseline: a first run, or a model that is served and whose artifact is lost."""
    others = [uri for uri in history.served_models(Places(mirrored.local(watched))) if uri != candidate]
    if not others:
        return Standing("none")
    return Standing("missing", f"{others[0]} is served, and ML Metadata has no such model", others[0])


def bless(
    blessing: types.Artifact,
    evidence: dict[str, Any],
    candidate: types.Artifact,
    baselines: list[types.Artifact],
    exec_properties: dict[str, Any],
) -> None:
    """Marks the blessing as TFX's Evaluator does; a forced one says so, and why."""
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, candidate.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, candidate.id)
    for baseline in baselines:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
    if "current_component_id" in exec_properties:
        blessing.set_string_custom_property("component_id", exec_properties["current_component_id"])
    blessing.set_int_custom_property(VERDICTS, len(evidence["verdicts"]))
    if evidence["forced"]:
        blessing.set_int_custom_property(FORCED, 1)
        blessing.set_string_custom_property(FORCE_REASON, evidence["force_reason"])
        logging.warning("Promoted although gates failed: %s", evidence["force_reason"])
    blessed = evidence["blessed"]
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE
    )

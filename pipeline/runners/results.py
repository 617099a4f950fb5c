"""The results of a run, read from its artifacts."""

import json
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable.mlmd import execution_lib

from components.tuner.executor import TRIALS
from pipeline import evaluation, tasks
from pipeline.config import RunConfig
from pipeline.train import tuned, warm_start

Outputs = dict[tuple[str, str], metadata_store_pb2.Artifact]


def collect(config: RunConfig, run_id: str) -> dict[str, Any]:
    """Rows, findings, metrics, gates, blessing and push of a run, as far as it went.

    Returns:
      `metrics`: overall, of the candidate; `baseline`: likewise or empty; `slices`: by slice; `classes`: by class, for
      labels that have them; `gates`: verdicts;
      `blessed`: bool or None where the Evaluator has not run; `pushed`: `{"version", "path"}` or None; `rows`: in, of
      each split and quarantined, or None where ExampleGen has not run; `spans`: names of those that were read; `findings`: of the checks on the data, those that
      fail or warn; `warm_start`, `tuned`, `tuning`: what the training began with, which found values it used, and the
      search of this run, each or None; `artifacts`: name -> folder of what the `millrace schema` commands read.
    """
    outputs = _outputs(config, run_id)
    found: dict[str, Any] = {"metrics": {}, "baseline": {}, "slices": {}, "classes": {}}
    found |= {"gates": [], "blessed": None, "pushed": None}
    found |= _of_data(outputs)
    found |= _of_training(outputs)
    if ("Evaluator", "evaluation") in outputs:
        uri = outputs["Evaluator", "evaluation"].uri
        task = tasks.load(config.task, config.overrides)
        candidate = evaluation.metrics(uri)
        baseline = evaluation.metrics(uri, evaluation.BASELINE)
        found["gates"] = evaluation.verdicts(task, candidate, baseline)
        overall = candidate.pop(evaluation.OVERALL)
        found["metrics"] = {name: overall[name] for name in task.evaluation.metrics if name in overall}
        found["slices"] = candidate
        found["classes"] = evaluation.by_class(uri, task.label)
        found["baseline"] = baseline.get(evaluation.OVERALL, {})
        found["blessed"] = outputs["Evaluator", "blessing"].custom_properties["blessed"].int_value == 1
    if ("Lite", "lite") in outputs:
        found["lite"] = lite = json.loads((Path(outputs["Lite", "lite"].uri) / "report.json").read_text("utf-8"))
        rules = [{"name": f"lite {kind}", **entry} for kind, entry in lite["formats"].items() if not entry["may_fail"]]
        found["gates"] += [{key: rule[key] for key in ("name", "passed", "reason")} for rule in rules]
        found["blessed"] = False if not all(rule["passed"] for rule in rules) else found["blessed"]
    if ("Pusher", "pushed_model") in outputs:
        properties = outputs["Pusher", "pushed_model"].custom_properties
        if properties["pushed"].int_value == 1:
            found["pushed"] = {
                "version": properties["pushed_version"].string_value,
                "path": properties["pushed_destination"].string_value,
            }
    return found


def _of_training(outputs: Outputs) -> dict[str, Any]:
    """What the Trainer and the Tuner have left about what the model was made from."""
    found = {
        "warm_start": _read(outputs, "Trainer", "model_run", warm_start.NAME),
        "tuned": _read(outputs, "Trainer", "model_run", tuned.NAME),
        "tuning": _read(outputs, "Tuner", "tuner_results", TRIALS),
    }
    if found["warm_start"]:
        found["warm_start"]["weights"] = str(Path(outputs["Trainer", "model_run"].uri) / warm_start.NAME)
    return found


def _read(outputs: Outputs, node: str, key: str, name: str) -> Any:
    """A file of JSON in an artifact; None where it is not there."""
    path = Path(outputs[node, key].uri) / name if (node, key) in outputs else None
    return json.loads(path.read_text("utf-8")) if path and path.exists() else None


def _of_data(outputs: Outputs) -> dict[str, Any]:
    """Rows, findings and artifacts of the nodes up to the data gate, as far as they have run."""
    named = {
        "quarantine": ("ExampleGen", "quarantine"),
        "statistics": ("StatisticsGen", "statistics"),
        "schema": ("SchemaGen", "schema"),
        "findings": ("DataChecks", "findings"),
        "model_run": ("Trainer", "model_run"),
    }
    found: dict[str, Any] = {"rows": None, "spans": [], "findings": []}
    found["artifacts"] = {name: outputs[key].uri for name, key in named.items() if key in outputs}
    if "quarantine" in found["artifacts"]:
        account = json.loads((Path(found["artifacts"]["quarantine"]) / "account.json").read_text("utf-8"))
        dated = {file["span"]: file["span_name"] for file in account["files"]}
        found["spans"] = [dated[span] for span in sorted(dated)] if any(dated) else []
        found["rows"] = {"in": account["rows"], **account["splits"], "quarantined": account["quarantined"]}
    judged = outputs.get(("DataGate", "verdict"))
    path = (
        Path(judged.uri) / "verdict.json" if judged else Path(found["artifacts"].get("findings", "")) / "findings.json"
    )
    if "findings" in found["artifacts"]:
        listed = json.loads(path.read_text("utf-8"))["findings"]
        found["findings"] = [entry for entry in listed if entry["severity"] != "ignore"]
    return found


def _outputs(config: RunConfig, run_id: str) -> Outputs:
    """(node id, output key) -> the artifact that this run made or took from the cache."""
    with metadata.Metadata(metadata.sqlite_metadata_connection_config(str(config.metadata))) as handle:
        store = handle.store
        context = store.get_context_by_type_and_name("pipeline_run", run_id)
        executions = store.get_executions_by_context(context.id) if context else []
        finished = [execution for execution in executions if execution_lib.is_execution_successful(execution)]
        nodes = {
            execution.id: kind.name.removeprefix(f"{config.task}.")
            for execution in finished
            for kind in store.get_contexts_by_execution(execution.id)
            if store.get_context_types_by_id([kind.type_id])[0].name == "node"
        }
        events = store.get_events_by_execution_ids([execution.id for execution in finished]) if finished else []
        made = [event for event in events if event.type == metadata_store_pb2.Event.OUTPUT]
        artifacts = {a.id: a for a in store.get_artifacts_by_id([event.artifact_id for event in made])} if made else {}
    return {
        (nodes[event.execution_id], event.path.steps[0].key): artifacts[event.artifact_id]
        for event in made
        if event.execution_id in nodes
    }

"""The results of a run, read from its artifacts."""

import json
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable.mlmd import execution_lib

from components.pusher.executor import REFUSED, WITHHELD
from components.tuner.executor import TRIALS
from pipeline import evaluation, tasks
from pipeline.config import RunConfig
from pipeline.evidence.report import NAME as EVIDENCE
from pipeline.task import Task
from pipeline.train import tuned, warm_start

_OF_A_VERDICT = (
    *("name", "passed", "reason", "metric", "slice", "candidate", "baseline", "difference", "interval", "rule", "n"),
    "corrected_for",
)
Outputs = dict[tuple[str, str], metadata_store_pb2.Artifact]


def collect(config: RunConfig, run_id: str) -> dict[str, Any]:
    """Rows, findings, metrics, gates, blessing and push of a run, as far as it went.

    Returns:
      rows: in, of each split and quarantined; None where ExampleGen has not run.
      spans: names of those that were read.
      findings: of the checks on the data, those that fail or warn.
      warm_start, tuned, tuning: what the training began with, which found values it used, and the search of this run.
      metrics, intervals, undefined: overall, of the candidate; `undefined` says why a metric has no value.
      baseline, compared: its metrics, or none, and how it stands.
      slices, classes: metrics by slice, and by class for labels that have them.
      fairness, gates, forced: groups, verdicts, and why a candidate was promoted although gates failed.
      blessed: None where the Evaluator has not run.
      serving, lite: reports of the serving check and of the conversion.
      pushed: `{"version", "path"}` or None. `withheld`: why a blessed model was not pushed, as it was withdrawn;
        `refused`: as its signatures are others than the served model's.
      predictions: the account of the rows that `--predict` names.
      artifacts: name -> folder of what the `millrace schema` commands read.
    """
    outputs = artifacts_of(config, run_id)
    found: dict[str, Any] = {"metrics": {}, "baseline": {}, "slices": {}, "classes": {}}
    found |= {"gates": [], "blessed": None, "pushed": None, "withheld": None, "refused": None}
    found |= _of_data(outputs)
    found |= _of_training(outputs)
    if ("Evaluator", "evaluation") in outputs:
        uri = outputs["Evaluator", "evaluation"].uri
        found |= _of_evaluation(uri, tasks.load(config.task, config.overrides))
    if ("Lite", "lite") in outputs:
        found["lite"] = lite = json.loads((Path(outputs["Lite", "lite"].uri) / "report.json").read_text("utf-8"))
        rules = [{"name": f"lite {kind}", **entry} for kind, entry in lite["formats"].items() if not entry["may_fail"]]
        found["gates"] += [{key: rule[key] for key in ("name", "passed", "reason")} for rule in rules]
        found["blessed"] = False if not all(rule["passed"] for rule in rules) else found["blessed"]
    found["serving"] = _read(outputs, "ServingCheck", "blessing", "report.json")
    found["gates"] += found["serving"]["checks"] if found["serving"] else []
    found["predictions"] = _read(outputs, "BulkInferrer", "inference_result", "account.json")
    if ("Pusher", "pushed_model") in outputs:
        properties = outputs["Pusher", "pushed_model"].custom_properties
        found["withheld"] = properties[WITHHELD].string_value or None
        found["refused"] = properties[REFUSED].string_value or None
        if properties["pushed"].int_value == 1:
            found["pushed"] = {
                "version": properties["pushed_version"].string_value,
                "path": properties["pushed_destination"].string_value,
            }
    return found


def _of_evaluation(uri: str, task: Task) -> dict[str, Any]:
    """What was measured and judged, of `evidence.json` and of what TFMA wrote beside it."""
    evidence = json.loads((Path(uri) / EVIDENCE).read_text("utf-8"))
    slices = {name: _values(found["metrics"]) for name, found in evidence["slices"].items()}
    return {
        "metrics": {name: found["candidate"] for name, found in evidence["metrics"].items()},
        "intervals": {name: found["interval"] for name, found in evidence["metrics"].items()},
        "baseline": _values(evidence["metrics"], "baseline"),
        "compared": evidence["baseline"],
        "slices": slices,
        "fairness": evidence["fairness"],
        "undefined": {name: found["reason"] for name, found in evidence["metrics"].items() if found["reason"]},
        "classes": evaluation.by_class(uri, task.label),
        "gates": [{key: verdict[key] for key in _OF_A_VERDICT} for verdict in evidence["verdicts"]],
        "blessed": evidence["blessed"],
        "forced": evidence["force_reason"] if evidence["forced"] else None,
    }


def _values(metrics: dict[str, Any], of: str = "candidate") -> dict[str, float]:
    """Metric -> value, of those that have one."""
    return {name: found[of] for name, found in metrics.items() if found[of] is not None}


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


def artifacts_of(config: RunConfig, run_id: str) -> Outputs:
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

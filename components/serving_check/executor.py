"""Serves a copy of the candidate, asks it, and writes what was found.

The artifact holds `report.json`, `server.log`, and `warmup/tf_serving_warmup_requests`, with which the candidate was
loaded and is pushed. It is blessed, as TFX's InfraValidator does it, where every check has passed.
"""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components.serving_check import server, warmup
from components.serving_check.questions import Questions
from pipeline import probes, tasks
from pipeline.export import COLUMNS_SIGNATURE, SERVING_SIGNATURE, as_written
from pipeline.serving_check import ServingCheck
from serving.errors import ServingError
from serving.session import SessionModel

REPORT = "report.json"
LOG = "server.log"
BLESSED = "blessed"
"""Custom property of TFX's InfraBlessing: 1 or 0."""


class Executor(base_executor.BaseExecutor):
    """Writes the report and the blessing, whatever it finds."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Serves, asks, judges."""
        task = tasks.load(exec_properties["task"], json.loads(exec_properties["overrides"]))
        model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        asked, answers = probes.read(artifact_utils.get_single_uri(input_dict["model_run"]))
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        with tempfile.TemporaryDirectory(prefix="millrace-check-") as folder:
            work = Path(folder)
            io_utils.copy_dir(model, str(work / task.name / "1"))
            report = check(work, task.name, task.serving, asked, answers)
            for name in (LOG, f"{warmup.FOLDER}/{warmup.NAME}"):
                if (work / name).exists():
                    io_utils.copy_file(str(work / name), f"{blessing.uri}/{name}", overwrite=True)
        for entry in report["checks"]:
            logging.log(logging.INFO if entry["passed"] else logging.ERROR, "%s: %s", entry["name"], entry["reason"])
        io_utils.write_string_file(f"{blessing.uri}/{REPORT}", json.dumps(report, indent=1) + "\n")
        blessing.set_int_custom_property(BLESSED, int(all(entry["passed"] for entry in report["checks"])))


def check(
    work: Path,
    name: str,
    rules: ServingCheck,
    asked: Sequence[probes.Probe],
    answers: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """What a report says.

    Args:
      work: folder with the candidate in `<name>/1`; the server's log and the warm-up requests are left in it.
      name: of the served model.
      rules: of the check.
      asked: rows.
      answers: the trained model's, output -> [rows, …].

    Returns:
      `{"server", "checks": [{"name", "passed", "reason"}], "milliseconds": {"p50", "p99"} | None, "memory_mb"}`. What can't
      be asked because an earlier check failed is not listed.
    """
    report: dict[str, Any] = {"server": rules.server, "checks": [], "milliseconds": None, "memory_mb": None}

    def found(what: str, problem: str | None, good: str = "") -> None:
        report["checks"].append({"name": what, "passed": problem is None, "reason": problem or good})

    candidate = work / name / "1"
    try:
        # Asked two requests only; the server rewrites its graphs as ever.
        model = SessionModel(candidate, as_written())
    except ServingError as error:
        found("serving load", f"no session loads the model, as servers do it: {error.message}")
        return report
    missing = [signature for signature in (SERVING_SIGNATURE, COLUMNS_SIGNATURE) if signature not in model.signatures]
    if missing:
        had = ", ".join(sorted(model.signatures)) or "none"
        found("serving load", f"expected the signatures {', '.join(missing)}. Received: {had}")
        model.close()
        return report
    try:
        refusal = warmup.write(work / warmup.FOLDER, model, name, asked)
    finally:
        model.close()
    if refusal:
        found("serving warm-up", refusal)
        return report
    warmup.place(work / warmup.FOLDER, candidate)
    try:
        with server.running(rules, name, candidate.parent, work / LOG) as serving:
            found("serving load", None, f"ready in {serving.seconds:.1f} s, after its warm-up requests")
            with Questions(serving, rules, name, model.signatures, asked, answers) as questions:
                for entry in questions.all():
                    found(*entry)
            report["milliseconds"] = questions.milliseconds
            report["memory_mb"] = used = serving.peak_mb()
    except server.NotServed as error:
        found("serving load", str(error))
        return report
    if used is not None:
        over = f"the server used {used:,.0f} MiB at its peak, more than {rules.max_memory_mb:,.0f}"
        found("serving memory", over if used > rules.max_memory_mb else None, f"{used:,.0f} MiB at its peak")
    return report

"""A task as a file that KFP or Vertex AI takes: the same `build_pipeline` as on a laptop, and no network.

The same task, flags and code give the same bytes.
"""

import json
import re
import site
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format

from pipeline import image, tasks
from pipeline.beam import checks as beam
from pipeline.config import RunConfig
from pipeline.errors import UsageError, nearest, raise_all
from pipeline.kubeflow import spec as specs
from pipeline.kubeflow.settings import Settings
from pipeline.kubeflow.steps import steps_of
from pipeline.runners import processes
from pipeline.sources import BigQuery, Prepared

TARGETS = ("kfp", "vertex")
_BUCKETS = {"kfp": ("s3://", "gs://"), "vertex": ("gs://",)}


def compiled(config: RunConfig, settings: Settings, target: str) -> str:
    """The text of the file.

    Args:
      config: of the run.
      settings: of the cluster.
      target: kfp (YAML) or vertex (JSON).

    Raises:
      UsageError: with all that a cluster could not do.
      TaskError: the task does not fit its schema.
    """
    if target not in TARGETS:
        raise UsageError(f"--target: no target {target!r}.{nearest(target, TARGETS)}")
    config = replace(config, only_structure=True)
    check(config, target)
    with tempfile.TemporaryDirectory(prefix="millrace-") as folder:
        # In a child: what TensorFlow prints when it is imported is nobody's business here.
        log = Path(folder) / "compile.log"
        processes.warm_up(log)
        steps = processes.call(steps_of, config, log=log)
    settings.check([step.node for step in steps] + [specs.START, specs.FINISH], target)
    spec = specs.pipeline_spec(steps, config, settings, target)
    plain = json_format.MessageToDict(spec)
    if target == "kfp":
        documents = [plain, specs.platform(spec, settings)]
        return yaml.safe_dump_all([document for document in documents if document], sort_keys=True, width=1 << 20)
    return json.dumps(_job(plain, config, settings), indent=1, sort_keys=True) + "\n"


def check(config: RunConfig, target: str) -> None:
    """What can be told before anything is compiled.

    Raises:
      UsageError: with all that a cluster could not do.
    """
    problems = []
    buckets = _BUCKETS[target]
    if not config.root.startswith(buckets):
        problems.append(
            f"--root {config.root}: a container of {target} can't reach it. Expected {' or '.join(buckets)}BUCKET/PREFIX. "
            "Next: name a bucket; `execute` lets a folder stand for it on this machine"
        )
    paths = {"--data": config.data, "--serving-log": config.serving_log, "--predict": config.predict}
    paths["--predict-out"] = config.predict_out
    problems += [
        f"{flag} {path}: a path of this machine, which a container can't reach. Next: name a place in a bucket"
        for flag, path in paths.items()
        if path and "://" not in path
    ]
    if config.metadata_service and not re.fullmatch(r"[^:/]+:\d+", config.metadata_service):
        problems.append(f"--metadata: expected HOST:PORT. Received: {config.metadata_service}")
    task = tasks.load(config.task, config.overrides)
    source = task.source
    made = isinstance(source, BigQuery | Prepared)
    if not made and not config.data and not source.remote and not _in_image(source.path):
        problems.append(
            f"data: task {config.task!r} reads {source.path}, which is not in the image. "
            "Next: --data s3://… or gs://…, or name the bucket in the task"
        )
    problems += beam.of_spec(config)
    raise_all(UsageError, f"Task {config.task!r} can't run on {target} so:", problems)


def _job(spec: dict[str, Any], config: RunConfig, settings: Settings) -> dict[str, Any]:
    """A PipelineJob."""
    labels = {"millrace-task": specs.name_of(config.task), "millrace-code": image.fingerprint(), **settings.labels}
    job = {
        "displayName": specs.name_of(config.task),
        "labels": labels,
        "pipelineSpec": spec,
        "runtimeConfig": {"gcsOutputDirectory": config.root, "parameterValues": specs.parameters(config)},
    }
    return job | ({"serviceAccount": settings.service_account} if settings.service_account else {})


def _in_image(path: str) -> bool:
    """Whether a path is of a library or of the project: the image has it too."""
    return any(Path(path).is_relative_to(folder) for folder in (image.ROOT, *map(Path, site.getsitepackages())))

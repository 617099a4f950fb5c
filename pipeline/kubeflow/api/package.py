"""A compiled pipeline file: which server it is for, and the checks before anything is sent.

`kubeflow_runner.py compile` writes one of two kinds, and the file itself tells which:

  kfp     a bare pipeline spec (YAML; a second document carries what is Kubernetes' own)
  vertex  a PipelineJob (JSON: `pipelineSpec`, `runtimeConfig`, …)
"""

import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from pipeline.errors import UsageError, raise_all

Target = Literal["kfp", "vertex"]
TARGETS: tuple[Target, ...] = ("kfp", "vertex")
_ROOTS = {"kfp": ("s3", "gs"), "vertex": ("gs",)}
_SDK = "millrace-"
_PLACEHOLDER = re.compile(r"[<>\s$]|\{\{|changeme|change-me|replace-me|placeholder|your-|/your|todo", re.IGNORECASE)


@dataclass(frozen=True)
class Package:
    """A compiled file.

    Attributes:
      path: of the file.
      target: the server that it is for.
      spec: the pipeline spec.
      platform: what is Kubernetes' own, for kfp; may be empty.
      job: the whole PipelineJob, for vertex; empty for kfp.
    """

    path: str
    target: Target
    spec: dict[str, Any]
    platform: dict[str, Any]
    job: dict[str, Any]

    @property
    def name(self) -> str:
        """The pipeline's name: the task's, with hyphens."""
        return str(_get(self.spec, "pipelineInfo", "name") or "pipeline")

    @property
    def task(self) -> str:
        """The task that it was compiled from."""
        return self.name.replace("-", "_")

    @property
    def root(self) -> str:
        """Where runs, models and metadata go."""
        of_job = _get(self.job, "runtimeConfig", "gcsOutputDirectory")
        return str(of_job or self.spec.get("defaultPipelineRoot") or "")

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Name -> declaration of each parameter that a run can be given."""
        return dict(_get(self.spec, "root", "inputDefinitions", "parameters") or {})


def read(path: str) -> Package:
    """Reads a compiled file.

    Raises:
      UsageError: it is not there, or is not a compiled pipeline.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise UsageError(
            f"spec: {path} can't be read: {reason}. Next: python kubeflow_runner.py compile --task TASK --output {path}"
        ) from error
    documents = _documents(path, text)
    first = documents[0]
    if "pipelineSpec" in first:
        return Package(path, "vertex", first["pipelineSpec"], {}, first)
    if "pipelineInfo" in first and "root" in first:
        platform: dict[str, Any] = {}
        for document in documents[1:]:
            platform.update(document)
        return Package(path, "kfp", first, platform, {})
    raise _no_pipeline(path, f"the keys {', '.join(sorted(map(str, first))[:6]) or 'none'}")


def check(package: Package, target: str) -> list[str]:
    """Checks a file against the server that it is to go to; nothing is sent.

    Returns:
      Warnings, a sentence each.

    Raises:
      UsageError: the file is for the other server, its root or an image can't be reached from there.
    """
    if package.target != target:
        kinds = {"kfp": "a bare pipeline spec for Kubeflow Pipelines", "vertex": "a PipelineJob for Vertex AI"}
        raise UsageError(
            f"spec: {package.path} is {kinds[package.target]}. Expected for --target {target}: {kinds[target]}. "
            f"Next: {_recompile(package, target)}"
        )
    _check_root(package)
    warnings = _check_images(package)
    ours = f"{_SDK}{importlib.metadata.version('millrace')}"
    theirs = str(package.spec.get("sdkVersion") or "nothing")
    if theirs != ours:
        warnings.append(
            f"{package.path} was compiled by {theirs}, this is {ours}: the image decides what runs. "
            f"Next: compile again, if the image is of {ours}"
        )
    return warnings


def check_labels(labels: Mapping[str, str]) -> None:
    """Checks labels as Google Cloud wants them.

    Raises:
      UsageError: naming each label that is wrong.
    """
    rule = "lower-case letters, digits, _ and -, at most 63, the key beginning with a letter"
    problems = [
        f"--labels {key}={value}. Expected: {rule}"
        for key, value in labels.items()
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value)
    ]
    raise_all(UsageError, "labels:", problems)


def executors(spec: Mapping[str, Any]) -> set[str]:
    """Names of the tasks that are containers, at whatever depth; the others only group them."""
    components = spec.get("components") or {}
    found = set()
    for part in (spec.get("root") or {}, *components.values()):
        for name, task in (_get(part, "dag", "tasks") or {}).items():
            component = components.get(_get(task, "componentRef", "name") or "") or {}
            if "executorLabel" in component:
                found.add(str(name))
    return found


def _documents(path: str, text: str) -> list[dict[str, Any]]:
    try:
        # JSON by its own parser: YAML's reads it a hundred times slower.
        found = [json.loads(text)] if text.lstrip().startswith("{") else list(yaml.safe_load_all(text))
    except (ValueError, yaml.YAMLError) as error:
        where = getattr(error, "problem_mark", None)
        line = where.line + 1 if where else getattr(error, "lineno", "?")
        raise _no_pipeline(path, f"text that is neither YAML nor JSON (line {line})") from error
    found = [document for document in found if document is not None]
    if not found or not all(isinstance(document, dict) for document in found):
        raise _no_pipeline(path, "nothing" if not found else "no mapping")
    return found


def _no_pipeline(path: str, received: str) -> UsageError:
    return UsageError(
        f"spec: {path} is not a compiled pipeline. Expected: the output of kubeflow_runner.py compile. "
        f"Received: {received}. Next: python kubeflow_runner.py compile --task TASK --target kfp|vertex --output FILE"
    )


def _recompile(package: Package, target: str) -> str:
    ending = {"kfp": "yaml", "vertex": "json"}[target]
    root = package.root if package.root.startswith(tuple(f"{scheme}://" for scheme in _ROOTS[target])) else "gs://…"
    return (
        f"python kubeflow_runner.py compile --task {package.task} --target {target} --root {root} "
        f"--output {package.name}.{ending}"
    )


def _check_root(package: Package) -> None:
    schemes = _ROOTS[package.target]
    if package.root.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        return
    expected = " or ".join(f"{scheme}://bucket/prefix" for scheme in schemes)
    what = "Vertex AI" if package.target == "vertex" else "a cluster"
    raise UsageError(
        f"root: {what} can't reach {package.root or 'a root that is not set'}. "
        f"Expected: {expected}. Received: root={package.root!r} in {package.path}. "
        f"Next: compile with --root {schemes[0]}://…"
    )


def _check_images(package: Package) -> list[str]:
    """Every container has an image that can be one; warns of names that lead to Docker Hub."""
    problems, warnings = [], set()
    for label, executor in (_get(package.spec, "deploymentSpec", "executors") or {}).items():
        if "container" not in executor:
            continue
        image = str(executor["container"].get("image") or "")
        if not image or _PLACEHOLDER.search(image):
            problems.append(f"{label}: Expected: the image of this project. Received: image={image!r}")
        elif not re.match(r"[^/]*[.:][^/]*/|localhost/", image):
            warnings.add(f"image {image} names no registry: the nodes would look for it on Docker Hub")
    title = (
        f"image: {package.path} has steps without one. Next: make image push, then compile --image REGISTRY/NAME:TAG"
    )
    raise_all(UsageError, title, problems)
    return sorted(warnings)


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value

"""Files for servers that are not ours, from a task: TF Serving under Docker Compose, and KServe.

The templates are in `deploy/`, one for each file that is made. What they are told is checked here, so that what comes
out can be used as it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.push.settings import ObjectStore
from pipeline.task import Task

TEMPLATES = Path(__file__).parents[2] / "deploy"
_COMPOSE_FILES = ("compose.yaml", "models.config", "monitoring.config")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi)?")


@dataclass(frozen=True)
class Compose:
    """TF Serving's container on one machine.

    Attributes:
      folder: that it watches, mounted read-only.
      image: the container.
      rest_port: of this machine.
      grpc_port: of this machine.
      host: of this machine, to which the ports are bound; only it can reach them by default.
    """

    folder: Path
    image: str = "tensorflow/serving:2.19.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class KServe:
    """An InferenceService.

    Attributes:
      storage: `s3://` or `gs://` folder with a subfolder for each version; that of the task's own target by default.
      version: that it is made for; with another one KServe starts anew and fetches it.
      namespace: of Kubernetes.
      replicas: the least and the greatest number.
      cpu: for each, as Kubernetes writes it.
      memory: likewise.
      service_account: with access to the bucket; none by default.
    """

    storage: str | None = None
    version: str | None = None
    namespace: str = "default"
    replicas: tuple[int, int] = (1, 3)
    cpu: str = "1"
    memory: str = "2Gi"
    service_account: str | None = None


def render_compose(task: Task, settings: Compose) -> dict[str, str]:
    """The files of a TF Serving under Docker Compose.

    Args:
      task: whose model is served.
      settings: where it is, and the ports.

    Returns:
      File name -> content: `compose.yaml`, `models.config` (ModelServerConfig) and `monitoring.config`.

    Raises:
      UsageError: a port is out of range, or both are the same.
    """
    ports = (settings.rest_port, settings.grpc_port)
    if not all(0 < port < 1 << 16 for port in ports) or len(set(ports)) < len(ports):
        raise UsageError(f"deploy: expected two ports in [1, 65535]. Received: rest={ports[0]}, grpc={ports[1]}")
    return {name: _render(f"tf_serving/{name}", {"task": task, "compose": settings}) for name in _COMPOSE_FILES}


def render_kserve(task: Task, settings: KServe) -> str:
    """The InferenceService of a task, as YAML.

    Raises:
      UsageError: there is no bucket to read from, or a setting is not what Kubernetes takes.
    """
    storage = settings.storage or _storage(task)
    if not storage.startswith(("s3://", "gs://")):
        raise UsageError(f"deploy: storage: expected s3:// or gs://. Received: storage={storage}")
    least, greatest = settings.replicas
    if not 0 <= least <= greatest or not greatest:
        raise UsageError(f"deploy: replicas: expected 0 <= least <= greatest. Received: replicas={settings.replicas}")
    for name in ("cpu", "memory"):
        if not _QUANTITY.fullmatch(getattr(settings, name)):
            raise UsageError(
                f"deploy: {name}: expected a quantity such as 500m or 2Gi. Received: {getattr(settings, name)}"
            )
    told = {"task": task, "kserve": settings, "storage": storage, "name": task.name.replace("_", "-").strip("-")}
    return _render("kserve.yaml", told)


def _storage(task: Task) -> str:
    """The folder of the task's first bucket."""
    for target in task.push.targets:
        return f"{target.url if isinstance(target, ObjectStore) else target.staging}/{task.name}"
    raise UsageError(
        f"deploy: KServe reads from a bucket, and {task.name} is pushed to none. "
        'Next: --storage s3://bucket/folder, or push=Push(targets=(ObjectStore("s3://…"),)) in the task'
    )


def _render(name: str, told: Mapping[str, Any]) -> str:
    """A template of `deploy/` with values filled in; a name that is not there is an error, not nothing."""
    import jinja2

    # What comes out is no HTML; values go through the filter `tojson` or are checked.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment.get_template(f"{name}.j2").render(told)

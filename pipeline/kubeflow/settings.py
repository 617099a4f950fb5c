"""What a cluster is told beside the task: image, resources, secrets, labels, retries.

A file of YAML, or flags; a flag wins.

    image: registry.example.com/millrace:0.1.0
    service_account: pipeline-runner
    retries: {count: 2, backoff_seconds: 60}
    labels: {team: pricing}
    env: {AWS_ENDPOINT_URL: "http://seaweedfs.kubeflow:8333"}
    secrets:
      - {env: AWS_SECRET_ACCESS_KEY, secret: s3-credentials, key: secretkey}       # Kubernetes: secret and key in it
      - {env: WEBHOOK, secret: projects/p/secrets/webhook/versions/latest}         # Vertex AI: Secret Manager
    resources:
      default: {cpu: "2", memory: 8G}
      Trainer: {cpu: "8", memory: 32G, accelerator: "nvidia.com/gpu:1"}
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import UsageError, nearest, raise_all

DEFAULT = "default"
_CPU = re.compile(r"\d+(\.\d+)?m?")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?")
_BYTES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_ACCELERATOR = re.compile(r"([\w./-]+):(\d+)")
_IMAGE = re.compile(r"[a-z0-9][\w.-]*(:\d+)?(/[a-z0-9][\w.-]*)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?")
_SECRET_MANAGER = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")
_SECRETIVE = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|(^|_)(API|ACCESS)_?KEY|WEBHOOK", re.IGNORECASE
)
_FIELDS = ("cpu", "memory", "accelerator")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resources(_Strict):
    """Of a step's container.

    Attributes:
      cpu: cores, `2` or `500m`; None: the cluster's default.
      memory: `8G` or `8Gi`.
      accelerator: kind and number, `nvidia.com/gpu:1` on Kubernetes, `NVIDIA_TESLA_T4:1` on Vertex AI.
    """

    cpu: str | None = None
    memory: str | None = None
    accelerator: str | None = None

    @property
    def cores(self) -> float:
        """The number of cores."""
        text = self.cpu or "0"
        return float(text[:-1]) / 1000 if text.endswith("m") else float(text)

    @property
    def gigabytes(self) -> float:
        """Memory in units of 10**9 bytes."""
        found = _MEMORY.fullmatch(self.memory or "0")
        return float(found[1]) * _BYTES[found[2] or ""] / 1e9 if found else 0.0


class Secret(_Strict):
    """A secret by reference.

    Attributes:
      env: the variable that gets its value.
      secret: its name on Kubernetes, or its resource in Secret Manager for Vertex AI.
      key: in a Kubernetes secret; default the variable's name.
    """

    env: str
    secret: str
    key: str | None = None


class Retries(_Strict):
    """How often a step that failed is tried again; gates never are.

    Attributes:
      count: tries after the first.
      backoff_seconds: before the first of them; each further wait is twice as long.
      max_seconds: after the beginning of a step's first attempt, when the last one must have ended. Argo, which runs the
        steps of KFP, starts no attempt after it, and ends one that is still running.
    """

    count: Annotated[int, Field(ge=0, le=10)] = 2
    backoff_seconds: Annotated[int, Field(ge=0)] = 30
    max_seconds: Annotated[int, Field(ge=1)] = 604_800


class Settings(_Strict):
    """See the module.

    Attributes:
      image: of every step.
      resources: node, or `default`, -> what its container gets.
      retries: of steps.
      env: variables of every container.
      secrets: by reference.
      labels: of the pods or the job.
      service_account: that the steps run as; given at submission.
      image_pull_secrets: names, on Kubernetes.
      node_selector: labels of the machines, on Kubernetes.
      notify: variable, of `secrets` or `env`, with the http address that the outcome is posted to as JSON.
    """

    image: str = ""
    resources: Mapping[str, Resources] = {}
    retries: Retries = Retries()
    env: Mapping[str, str] = {}
    secrets: tuple[Secret, ...] = ()
    labels: Mapping[str, str] = {}
    service_account: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = {}
    notify: str | None = None

    def of(self, node: str) -> Resources:
        """What a node gets: its own, where it has some, else the default's."""
        default, own = self.resources.get(DEFAULT, Resources()), self.resources.get(node, Resources())
        return Resources(**{name: getattr(own, name) or getattr(default, name) for name in _FIELDS})

    def check(self, nodes: Iterable[str], target: str) -> None:
        """Compares the settings with the pipeline and the kind of cluster.

        Raises:
          UsageError: with all that does not fit.
        """
        problems = []
        if not self.image:
            problems.append("no image. Expected --image REGISTRY/NAME:TAG. Next: make image && make push build one")
        elif not _IMAGE.fullmatch(self.image):
            problems.append(f"image: expected REGISTRY/NAME:TAG. Received: {self.image}")
        known = (DEFAULT, *nodes)
        for node, resources in self.resources.items():
            if node not in known:
                problems.append(f"resources: no node {node!r}.{nearest(node, known)}")
            problems += [f"resources: {node}.{problem}" for problem in _wrong(resources)]
        for name, value in self.env.items():
            if not _VARIABLE.fullmatch(name):
                problems.append(f"env: {name!r} is no name of a variable")
            elif _SECRETIVE.search(name) and value:
                problems.append(
                    f"env: {name} looks like a secret, and its value would be readable in the spec. "
                    f"Next: store it in the cluster, and name it by --secret {name}={_example(target)}"
                )
        problems += [problem for secret in self.secrets for problem in _wrong_secret(secret, target)]
        named = {*self.env, *(secret.env for secret in self.secrets)}
        if self.notify and self.notify not in named:
            problems.append(
                f"notify: no variable {self.notify!r}.{nearest(self.notify, named)} "
                f"Next: --secret {self.notify}={_example(target)}, with the address as its value"
            )
        for name, value in self.labels.items():
            if not _LABEL.fullmatch(name) or not _LABEL.fullmatch(value):
                problems.append(f"labels: expected lower-case letters, digits, - _ . in both. Received: {name}={value}")
        if target == "vertex":
            here = {"image_pull_secrets": self.image_pull_secrets, "node_selector": self.node_selector}
            problems += [f"{name}: Vertex AI has nothing of the kind" for name, value in here.items() if value]
        raise_all(UsageError, f"The settings do not fit a pipeline for {target}:", problems)


def read(path: str | None, given: Mapping[str, Any]) -> Settings:
    """Settings of a file, and above them those of flags.

    Args:
      path: of the YAML, or None.
      given: field -> value; mappings are merged key by key, lists are added.

    Raises:
      UsageError: the file can't be read, or has a field or value that can't be.
    """
    found: dict[str, Any] = {}
    if path:
        try:
            loaded = yaml.safe_load(Path(path).read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"--settings {path}: {error.strerror}. Expected a file of YAML") from error
        except yaml.YAMLError as error:
            raise UsageError(f"--settings {path} is not YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(loaded, dict):
            raise UsageError(
                f"--settings {path}: expected fields such as image and resources. Received: {type(loaded).__name__}"
            )
        found = loaded
    for name, value in given.items():
        old = found.get(name)
        if name == "resources":
            found[name] = {
                node: {**(old or {}).get(node, {}), **value.get(node, {})} for node in {**(old or {}), **value}
            }
        elif isinstance(value, dict):
            found[name] = {**(old or {}), **value}
        elif isinstance(value, list):
            found[name] = [*(old or ()), *value]
        else:
            found[name] = value
    try:
        return Settings.model_validate(found)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}{_near(entry)}" for entry in error.errors()]
        raise_all(UsageError, "The settings for the cluster are wrong:", problems)
        raise


def resources_of(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """`--resource Trainer.cpu=8`, parsed."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        node, dot, rest = text.partition(".")
        name, equals, value = rest.partition("=")
        if not dot or not equals or name not in _FIELDS:
            raise UsageError(f"--resource {text}: expected NODE.{'|'.join(_FIELDS)}=VALUE, e.g. Trainer.memory=16G")
        found.setdefault(node, {})[name] = value
    return found


def secret_of(text: str) -> dict[str, str]:
    """`--secret NAME=secret/key`, or `NAME=projects/…`, parsed."""
    env, equals, place = text.partition("=")
    if not equals or not place:
        raise UsageError(f"--secret {env}: expected NAME=SECRET/KEY, or NAME=projects/P/secrets/S/versions/V")
    if place.startswith("projects/"):
        return {"env": env, "secret": place}
    name, slash, key = place.partition("/")
    return {"env": env, "secret": name, **({"key": key} if slash else {})}


def _wrong(resources: Resources) -> list[str]:
    problems = []
    if resources.cpu is not None and not _CPU.fullmatch(resources.cpu):
        problems.append(f"cpu: expected cores, such as 2 or 500m. Received: {resources.cpu}")
    if resources.memory is not None and not _MEMORY.fullmatch(resources.memory):
        problems.append(f"memory: expected such as 8G or 512Mi. Received: {resources.memory}")
    if resources.accelerator is not None and not _ACCELERATOR.fullmatch(resources.accelerator):
        problems.append(
            f"accelerator: expected KIND:NUMBER, such as nvidia.com/gpu:1. Received: {resources.accelerator}"
        )
    return problems


def _wrong_secret(secret: Secret, target: str) -> list[str]:
    if not _VARIABLE.fullmatch(secret.env):
        return [f"secrets: {secret.env!r} is no name of a variable"]
    managed = bool(_SECRET_MANAGER.fullmatch(secret.secret))
    if managed != (target == "vertex"):
        return [f"secrets: {secret.env}: expected for {target} such as {secret.env}={_example(target)}"]
    return []


def _example(target: str) -> str:
    return "projects/PROJECT/secrets/NAME/versions/latest" if target == "vertex" else "SECRET/KEY"


def _near(entry: Any) -> str:
    if entry["type"] != "extra_forbidden":
        return ""
    return nearest(str(entry["loc"][-1]), {**Settings.model_fields, **Resources.model_fields})

"""What a training on several machines is asked to be: processes, machines, names; all that is wrong is said at once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline import strategies
from pipeline.errors import UsageError, nearest, raise_all
from pipeline.task import Task

KINDS = ("tfjob", "trainjob", "customjob")
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST = 40
"""Characters of a name: pods and services are called by it, their kind and their number, in 63."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCES = {
    "tfjob": (re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+"), "secret/key, the names in Kubernetes"),
    "customjob": (re.compile(r"projects/[^/\s]+/secrets/[^/\s]+/versions/[^/\s]+"), "projects/P/secrets/S/versions/V"),
}
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
_CONFIDENTIAL = re.compile(
    r"SECRET|TOKEN|PASSW|CREDENTIAL|PRIVATE|WEBHOOK|(^|_)(API|ACCESS|ACCOUNT)?_?KEY(_|$)", re.IGNORECASE
)
_WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_BUCKET = re.compile(r"(s3|gs)://[^/@?#\s]+(/[^@?#\s]*)?")
_RESERVED = (
    "TF_CONFIG",
    "CLUSTER_SPEC",
    "MILLRACE_WAIT",
    "MILLRACE_JOB",
    "MILLRACE_ROLE",
    "MILLRACE_SECRETS",
    "JOB_COMPLETION_INDEX",
)
_ACCELERATORS = {
    "tfjob": (re.compile(r"[a-z0-9.-]+\.[a-z]+/[-._A-Za-z0-9]+"), "nvidia.com/gpu=1"),
    "customjob": (re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+"), "NVIDIA_TESLA_T4=1"),
}


@dataclass(frozen=True)
class Machines:
    """What each process has.

    Attributes:
      cpu: as Kubernetes writes it; not for customjob.
      memory: likewise.
      machine: type of Vertex AI's machines; for customjob alone.
      accelerator: type and number for those that compute, or None.
    """

    cpu: str | None = None
    memory: str | None = None
    machine: str | None = None
    accelerator: tuple[str, int] | None = None


@dataclass(frozen=True)
class Settings:
    """A training on several machines.

    Attributes:
      kind: of manifest, one of `KINDS`.
      image: the container, of the same code as this.
      root: `s3://` or `gs://` folder of all runs.
      workers: processes that compute; under multi_worker the chief is one of them.
      servers: processes that hold the weights, under parameter_server.
      name: of the job; made of the task's by default.
      namespace: of Kubernetes; None: that of who applies it.
      service_account: with access to the bucket.
      machines: what each process has.
      environment: name -> value.
      secrets: name of a variable -> `secret/key` of Kubernetes, or Secret Manager's `projects/…` for customjob.
      flags: of `millrace run`, beside task, root and strategy.
      attempts: how often the chief begins a run that failed.
      wait: seconds that processes wait for each other.
    """

    kind: str
    image: str
    root: str
    workers: int
    servers: int = 0
    name: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    machines: Machines = field(default_factory=Machines)
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    flags: Sequence[str] = ()
    attempts: int = 3
    wait: int = 4 * 3600

    def named(self, task: Task) -> str:
        """The name of the job."""
        return self.name or f"{task.name.replace('_', '-').strip('-')[: _LONGEST - 9].rstrip('-')}-training"

    def counts(self, strategy: str) -> dict[str, int]:
        """How many of each kind of process there are, the chief among them."""
        if strategy == "parameter_server":
            return {"chief": 1, "worker": self.workers, "ps": self.servers or 1}
        return {"chief": 1, "worker": self.workers - 1}


def check(task: Task, settings: Settings) -> None:
    """Makes sure that a manifest can be made that a cluster takes and a training can run by.

    Raises:
      UsageError: with all that is wrong.
    """
    if settings.kind not in KINDS:
        raise UsageError(f"--kind: no kind {settings.kind!r}.{nearest(settings.kind, KINDS)}")
    problems = [*_of_processes(task.training.strategy, settings), *_of_places(settings), *_of_names(task, settings)]
    problems += [*_of_machines(settings), *_of_environment(settings)]
    raise_all(UsageError, f"manifest: {task.name} can't be trained as a {settings.kind}:", problems)


def _of_processes(strategy: str, settings: Settings) -> list[str]:
    if strategy not in strategies.OF_PROCESSES:
        return [
            f"strategy {strategy} is of one process, which needs no manifest: compile runs it as a step. Expected "
            f"{' or '.join(strategies.OF_PROCESSES)}. Next: --strategy multi_worker, or training.strategy in the task"
        ]
    problems = []
    served = strategy == "parameter_server"
    least = 1 if served else 2
    if settings.workers < least:
        why = "" if served else ", the chief among them"
        problems.append(f"--workers: expected at least {least}{why}. Received: --workers {settings.workers}")
    if settings.servers and not served:
        problems.append("--ps: multi_worker has no servers. Next: --strategy parameter_server, or leave --ps out")
    if settings.servers < 0:
        problems.append(f"--ps: expected at least 1. Received: --ps {settings.servers}")
    for name, value in (("--attempts", settings.attempts), ("--wait", settings.wait)):
        if value < 1:
            problems.append(f"{name}: expected at least 1. Received: {name} {value}")
    return problems


def _of_places(settings: Settings) -> list[str]:
    problems = []
    if not settings.image.strip():
        problems.append("--image: expected the image of this code, such as registry/millrace:1.0. Received: none")
    elif re.search(r"\s", settings.image) or "://" in settings.image:
        problems.append(f"--image: expected registry/name:tag. Received: {settings.image}")
    if not _BUCKET.fullmatch(settings.root):
        shown = settings.root if "@" not in settings.root else "one with credentials, which belong in --secret"
        problems.append(
            f"--root: the machines share nothing but a bucket. Expected s3://bucket/prefix or gs://bucket/prefix. "
            f"Received: {shown}"
        )
    elif settings.kind == "customjob" and not settings.root.startswith("gs://"):
        problems.append(
            f"--root: the machines of Vertex AI reach gs:// by their service account. "
            f"Expected gs://bucket/prefix. Received: {settings.root}"
        )
    return problems


def _of_names(task: Task, settings: Settings) -> list[str]:
    problems = []
    name = settings.named(task)
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        problems.append(
            f"--name: expected at most {_LONGEST} of a-z, 0-9 and -, a letter first. Received: --name {name}"
        )
    if settings.kind == "customjob":
        if settings.namespace:
            problems.append("--namespace: is of Kubernetes; a CustomJob has none")
        if settings.service_account and "@" not in settings.service_account:
            problems.append(
                "--service-account: Vertex AI expects name@project.iam.gserviceaccount.com. "
                f"Received: {settings.service_account}"
            )
        return problems
    for flag, value in (("--namespace", settings.namespace), ("--service-account", settings.service_account)):
        if value and not _NAME.fullmatch(value):
            problems.append(f"{flag}: expected a name of Kubernetes: a-z, 0-9 and -. Received: {value}")
    return problems


def _of_machines(settings: Settings) -> list[str]:
    machines, problems = settings.machines, []
    vertex = settings.kind == "customjob"
    for name in ("cpu", "memory"):
        value = getattr(machines, name)
        if value and vertex:
            problems.append(f"--{name}: Vertex AI has types of machines. Next: --machine n1-standard-8")
        elif value and not _QUANTITY.fullmatch(value):
            problems.append(f"--{name}: expected a quantity such as 500m or 2Gi. Received: {value}")
    if machines.machine and not vertex:
        problems.append("--machine: is of Vertex AI. Next: --cpu 4 --memory 16Gi")
    elif machines.machine and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", machines.machine):
        problems.append(f"--machine: expected a type such as n1-standard-8. Received: {machines.machine}")
    if machines.accelerator:
        kind, count = machines.accelerator
        shape, example = _ACCELERATORS["customjob" if vertex else "tfjob"]
        if not shape.fullmatch(kind) or count < 1:
            problems.append(f"--accelerator: expected TYPE=N such as {example}. Received: {kind}={count}")
    return problems


def _of_environment(settings: Settings) -> list[str]:
    problems = []
    for name, value in settings.environment.items():
        if not _VARIABLE.fullmatch(name):
            problems.append(f"--env: expected NAME=VALUE. Received the name {name!r}")
        elif name in _RESERVED:
            problems.append(f"--env: {name} is written by the cluster or the manifest")
        elif _WITH_PASSWORD.search(value) or (_CONFIDENTIAL.search(name) and not value.startswith("/")):
            problems.append(
                f"--env: {name} looks like a secret, and a manifest is read by many. Its value is not shown. "
                f"Next: {_instead(settings.kind, name)}"
            )
    pattern, example = _REFERENCES["customjob" if settings.kind == "customjob" else "tfjob"]
    for name, reference in settings.secrets.items():
        if not _VARIABLE.fullmatch(name) or name in settings.environment:
            problems.append(f"--secret: expected a variable's name that --env does not set. Received: {name!r}")
        elif not pattern.fullmatch(reference):
            problems.append(f"--secret: {name}: expected {example}, not the value. What was received is not shown")
    return problems


def _instead(kind: str, name: str) -> str:
    place = "projects/P/secrets/S/versions/latest" if kind == "customjob" else "SECRET/KEY"
    return f"store it in the cluster, and --secret {name}={place}"

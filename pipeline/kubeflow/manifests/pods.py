"""What the pods of a TFJob and of a TrainJob have in common: the container, what it may do, where it writes."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.kubeflow.manifests.settings import Settings
from pipeline.train import published

PORT = 2222
COMMAND = ["python", "-m", "pipeline.kubeflow.manifests.member"]
FINAL = (1, 2, 10, 11, 12)
"""Exit codes after which a pod is not tried again: a failure that repeats itself, wrong usage, a gate."""
_SCRATCH = "/scratch"
_USER = 10001


def pod(
    settings: Settings, kind: str, args: Sequence[str], container: str, variables: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The spec of a pod.

    Args:
      settings: of the training.
      kind: "chief", "worker" or "ps".
      args: of the container.
      container: its name, which the operator prescribes.
      variables: beside those of the settings.
    """
    spec: dict[str, Any] = {
        "automountServiceAccountToken": bool(settings.service_account),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": container,
                "image": settings.image,
                "command": COMMAND,
                "args": list(args),
                "env": [*_environment(settings), *map(dict, variables)],
                "ports": [{"name": "tfjob-port", "containerPort": PORT}],
                **_resources(settings, kind),
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "scratch", "mountPath": _SCRATCH}],
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    return spec


def _environment(settings: Settings) -> list[dict[str, Any]]:
    plain = {
        **settings.environment,
        "MILLRACE_CACHE": _SCRATCH,
        "TMPDIR": _SCRATCH,
        published.WAIT: str(settings.wait),
    }
    secrets = {name: reference.partition("/")[::2] for name, reference in settings.secrets.items()}
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        *(
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
            for name, (secret, key) in secrets.items()
        ),
    ]


def _resources(settings: Settings, kind: str) -> dict[str, Any]:
    machines = settings.machines
    found = {name: getattr(machines, name) for name in ("cpu", "memory") if getattr(machines, name)}
    if machines.accelerator and kind != "ps":
        found[machines.accelerator[0]] = str(machines.accelerator[1])
    return {"resources": {"requests": found, "limits": dict(found)}} if found else {}

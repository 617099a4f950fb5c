"""What a task's process finds around it: little more than a container would."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow.execute.failure import TaskFailed

_OF_THE_MACHINE = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PYTHONPATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)
_SECRETS = (("secretAsEnv", "secret", "secretName", "secretKey"),)
_CONFIG_MAPS = (("configMapAsEnv", "config map", "configMapName", "configMapKey"),)
_VOLUMES = (
    ("secretAsVolume", "secret", "secretName"),
    ("configMapAsVolume", "config map", "configMapName"),
    ("pvcMount", "volume claim", "constant"),
    ("emptyDirMounts", "volume", "volumeName"),
    ("genericEphemeralVolume", "volume", "volumeName"),
)


def build(
    container: pb.PipelineDeploymentConfig.PipelineContainerSpec,
    kubernetes: Mapping[str, Any],
    given: Mapping[str, str],
    own: Mapping[str, str],
) -> dict[str, str]:
    """The environment of a task.

    Nothing else of the user's environment is passed on: what a container would not have is not there either.

    Args:
      container: with its own variables.
      kubernetes: settings of the platform document; secrets come from the user's environment.
      given: of the command line.
      own: what Millrace tells its containers.

    Raises:
      TaskFailed: secrets or volumes are not here; all of them, by name.
    """
    kept = {name: os.environ[name] for name in _OF_THE_MACHINE if name in os.environ}
    problems = [*_missing_variables(kubernetes, given), *_missing_volumes(kubernetes)]
    if problems:
        raise TaskFailed("; ".join(problems))
    found = kept | {each.name: each.value for each in container.env} | _from_user(kubernetes, given) | dict(given)
    path = os.pathsep.join([str(Path(sys.executable).parent), found.get("PATH", os.environ.get("PATH", os.defpath))])
    return found | {"PATH": path} | dict(own)


def secrets(kubernetes: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    """The values of a task's secrets, to be kept from the screen; the longest first."""
    names = {variable for _, _, _, variable, _ in _variables(kubernetes, _SECRETS)}
    user = {**os.environ, **given}
    return sorted({user[name] for name in names if user.get(name)}, key=len, reverse=True)


def _variables(
    kubernetes: Mapping[str, Any], kinds: tuple[tuple[str, str, str, str], ...]
) -> Iterator[tuple[str, str, str, str, bool]]:
    """Kind, name, key, variable and whether it is optional, of each variable that is taken from elsewhere."""
    for field, kind, name_field, key_field in kinds:
        for each in kubernetes.get(field, ()):
            name = _name(each, name_field)
            for pair in each.get("keyToEnv", ()):
                yield kind, name, pair.get(key_field, ""), pair.get("envVar", ""), bool(each.get("optional"))


def _name(settings: Mapping[str, Any], field: str) -> str:
    """A name; or where it would come from."""
    return str(settings.get(field) or settings.get(f"{field}Parameter") or settings)


def _from_user(kubernetes: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    user = {**os.environ, **given}
    found = _variables(kubernetes, _SECRETS + _CONFIG_MAPS)
    return {variable: user[variable] for _, _, _, variable, _ in found if variable in user}


def _missing_variables(kubernetes: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    for kind, name, key, variable, optional in _variables(kubernetes, _SECRETS + _CONFIG_MAPS):
        if not optional and variable not in os.environ and variable not in given:
            yield (
                f"{kind} {name!r}: variable {variable} is not set. The backend fills it from key {key!r}; here it comes "
                f"from the environment. Next: export {variable}"
            )


def _missing_volumes(kubernetes: Mapping[str, Any]) -> Iterator[str]:
    for field, kind, name_field in _VOLUMES:
        for each in kubernetes.get(field, ()):
            folder = each.get("mountPath", "")
            if not each.get("optional") and not os.path.exists(folder):
                yield (
                    f"{kind} {_name(each, name_field)!r}: {folder} is not there. The backend mounts it; here the folder "
                    "of this machine is used. Next: make it"
                )

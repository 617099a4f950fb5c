"""TFX's Pusher, but a version appears by a rename, and a model that is served already is not pushed again.

A full disk or a kill leaves no half-written version behind. What counts is what the server sees, its highest version: so
a return to an earlier model is pushed again, and a run that changed nothing pushes nothing. The node is never cached.
"""

import filecmp
import os
import time
from typing import Any

from tfx import types
from tfx.components.pusher import executor as tfx_pusher
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, proto_utils

_INCOMING = ".incoming"


class Executor(tfx_pusher.Executor):
    """Copies beside the versions, then renames. A server skips names that are not numbers."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model where it is blessed, and marks the PushedModel artifact either way.

        Whatever can fail comes before the rename: a failed execution has pushed nothing.
        """
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        model = self.GetModelPath(input_dict)
        destination = proto_utils.json_to_proto(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], pusher_pb2.PushDestination()
        )
        folder = destination.filesystem.base_directory
        present = _clean_versions(folder)
        version = max(present, default=0)
        if not version or not _same_files(model, f"{folder}/{version}"):
            version = max(int(time.time()), version + 1)
            io_utils.copy_dir(model, pushed.uri)
            _publish(model, f"{folder}/{_INCOMING}-{version}", f"{folder}/{version}")
        self._MarkPushed(pushed, pushed_destination=f"{folder}/{version}", pushed_version=str(version))


def _publish(model: str, incoming: str, destination: str) -> None:
    """Copies the model aside and renames it; what can't be copied whole is removed."""
    try:
        io_utils.copy_dir(model, incoming)
        fileio.rename(incoming, destination)
    except Exception:
        if fileio.exists(incoming):
            fileio.rmtree(incoming)
        raise


def _clean_versions(folder: str) -> list[int]:
    """The versions that are there; what an earlier push left half copied is removed, as the root is locked by this run."""
    names = [name.rstrip("/") for name in fileio.listdir(folder)] if fileio.exists(folder) else []
    for name in names:
        if name.startswith(_INCOMING):
            fileio.rmtree(f"{folder}/{name}")
    return [int(name) for name in names if name.isdigit()]


def _same_files(one: str, other: str) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    files, others = _files(one), _files(other)
    return files == others and not any(filecmp.cmpfiles(one, other, files, shallow=False)[index] for index in (1, 2))


def _files(folder: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in fileio.walk(folder)
        for name in names
    )

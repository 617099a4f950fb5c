"""TFX's Pusher, but a version appears by a rename, and a model that is served already is not pushed again.

A full disk or a kill leaves no half-written version behind. What counts is what the server sees, its highest version: so
a return to an earlier model is pushed again, and a run that changed nothing pushes nothing. The node is never cached.

The files of TF Lite, where the task asks for them, are in the version's `assets.extra/lite/`: they appear with it, and TF
Serving leaves that folder alone.
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

from components.artifacts import LiteModel

LITE_KEY = "lite"
LITE_FOLDER = "assets.extra/lite"
_INCOMING = ".incoming"


class Executor(tfx_pusher.Executor):
    """Copies beside the versions, then renames. A server skips names that are not numbers."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model where it is blessed, in all the forms that were asked for, and marks the PushedModel artifact either way.

        Whatever can fail comes before the rename: a failed execution has pushed nothing.
        """
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        converted = input_dict.get(LITE_KEY, [])
        if not self.CheckBlessing(input_dict) or not all(map(_is_blessed, converted)):
            self._MarkNotPushed(pushed)
            return
        folders = {"": self.GetModelPath(input_dict)}
        for lite in converted:
            if fileio.exists(f"{lite.uri}/{LiteModel.FILES}"):
                folders[LITE_FOLDER] = f"{lite.uri}/{LiteModel.FILES}"
        destination = proto_utils.json_to_proto(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], pusher_pb2.PushDestination()
        )
        folder = destination.filesystem.base_directory
        present = _clean_versions(folder)
        version = max(present, default=0)
        if not version or not _same_files(folders, f"{folder}/{version}"):
            version = max(int(time.time()), version + 1)
            _copy(folders, pushed.uri)
            _publish(folders, f"{folder}/{_INCOMING}-{version}", f"{folder}/{version}")
        self._MarkPushed(pushed, pushed_destination=f"{folder}/{version}", pushed_version=str(version))


def _is_blessed(lite: types.Artifact) -> bool:
    return bool(lite.get_int_custom_property(LiteModel.BLESSED) == 1)


def _copy(folders: dict[str, str], destination: str) -> None:
    """Copies folders to their places below the destination; the first is the destination itself."""
    for place, folder in folders.items():
        io_utils.copy_dir(folder, os.path.join(destination, place) if place else destination)


def _publish(folders: dict[str, str], incoming: str, destination: str) -> None:
    """Copies the folders aside and renames; what can't be copied whole is removed."""
    try:
        _copy(folders, incoming)
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


def _same_files(folders: dict[str, str], version: str) -> bool:
    """Whether a version holds the files of the folders, in their places, with the same bytes, and no other."""
    wanted = {
        os.path.join(place, name): path for place, folder in folders.items() for name, path in _files(folder).items()
    }
    present = _files(version)
    return wanted.keys() == present.keys() and all(
        filecmp.cmp(path, present[name], shallow=False) for name, path in wanted.items()
    )


def _files(folder: str) -> dict[str, str]:
    """Name below the folder -> path."""
    paths = [os.path.join(parent, name) for parent, _, names in fileio.walk(folder) for name in names]
    return {os.path.relpath(path, folder): path for path in paths}

"""TFX's Pusher, but a version appears by a rename: a full disk or a kill leaves no half-written version behind."""

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
        version = _next_version(folder)
        incoming = f"{folder}/{_INCOMING}-{version}"
        io_utils.copy_dir(model, pushed.uri)
        try:
            io_utils.copy_dir(model, incoming)
            fileio.rename(incoming, f"{folder}/{version}")
        except BaseException:
            if fileio.exists(incoming):
                fileio.rmtree(incoming)
            raise
        self._MarkPushed(pushed, pushed_destination=f"{folder}/{version}", pushed_version=version)


def _next_version(folder: str) -> str:
    """Unix seconds, as TFX's Pusher has it, and above every version that is there."""
    versions = [int(name) for name in fileio.listdir(folder) if name.isdigit()] if fileio.exists(folder) else []
    return str(max([int(time.time()), *(version + 1 for version in versions)]))

"""TFX's Pusher, but a version appears by a rename, has a history, and is not a second copy of what is served already.

A full disk or a kill leaves no half-written version behind. What counts is what the server sees, its highest version:
so a return to an earlier model is pushed again, and a run that changed nothing pushes nothing. What was rolled back is
not pushed again, unless it is forced. The node is never cached.

The files of TF Lite, where the task asks for them, are in the version's `assets.extra/lite/`, and the warm-up requests
of the serving check in `assets.extra/`: they appear with it. TF Serving reads the requests and leaves the others alone.
"""

import contextlib
import filecmp
import json
import os
import time
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as tfx_pusher
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, proto_utils

from components.artifacts import FORCED, VERDICTS, LiteModel
from pipeline import mirrored
from pipeline.push import contract, history, targets, versions
from pipeline.push.load_check import WARM_UP
from pipeline.push.settings import Push, target_of
from pipeline.push.versions import Places

LITE_KEY = "lite"
LITE_FOLDER = "assets.extra/lite"
BASELINE_KEY = "baseline"
WITHHELD = "withheld"
"""Custom property of a PushedModel that was not pushed although it passed: the sentence that says why."""
REFUSED = "refused"
"""Likewise, where its signatures are not those of the served version, on which clients rely."""
_WARM_UP_SOURCE = "warmup/tf_serving_warmup_requests"


class Executor(tfx_pusher.Executor):
    """Copies beside the versions, then renames. A server skips names that are not numbers."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model where it is blessed, in all the forms that were asked for; marks the PushedModel either way.

        In the folder it is pushed whole or not at all: whatever can fail comes before the rename. Other targets follow;
        where one of them fails, the node does, and the next try goes on from there.

        Raises:
          MillraceError: a target other than the folder failed.
          OSError: the folder can't be written.
        """
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        converted = input_dict.get(LITE_KEY, [])
        if not self.CheckBlessing(input_dict) or not all(map(_is_blessed, converted)):
            self._MarkNotPushed(pushed)
            return
        told = json.loads(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "null") or {}
        push = Push(told.get("keep", Push.keep), tuple(map(target_of, told.get("targets", ()))))
        destination = proto_utils.json_to_proto(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], pusher_pb2.PushDestination()
        )
        folder = str(mirrored.local(destination.filesystem.base_directory))
        places = Places(Path(folder))
        history.recover(places)
        versions.clean(places)
        parts = self._parts(input_dict)
        present = [int(name) for name in versions.names(places.watched)]
        version = max(present, default=0)
        if not version or not _same_files(parts, f"{folder}/{version}"):
            withdrawn = _withdrawn(places, input_dict, parts)
            if withdrawn and not told.get("forced"):
                self._MarkNotPushed(pushed)
                pushed.set_string_custom_property(WITHHELD, withdrawn)
                return
            served = places.served()
            refused = contract.refusal(f"{folder}/{served}", parts[""]) if served else None
            if refused and not told.get("signature_change"):
                self._MarkNotPushed(pushed)
                pushed.set_string_custom_property(REFUSED, refused)
                return
            forced = told.get("forced") if withdrawn or _was_forced(input_dict) else None
            version = max(int(time.time()), history.highest(places) + 1)
            _copy(parts, pushed.uri)
            _publish(parts, places, self._event(version, places, input_dict, forced))
        _remove_old(places, push.keep, input_dict.get(BASELINE_KEY, []), self._run_id())
        again = "the same command with --resume sends the rest"
        targets.deliver(places, push.targets, version, push.keep, again, self._run_id())
        self._MarkPushed(pushed, pushed_destination=f"{folder}/{version}", pushed_version=str(version))

    def _parts(self, input_dict: dict[str, list[types.Artifact]]) -> dict[str, str]:
        """Place in the version -> file or folder that goes there; the model, at the place "", first."""
        parts = {"": self.GetModelPath(input_dict)}
        for lite in input_dict.get(LITE_KEY, []):
            if fileio.exists(f"{lite.uri}/{LiteModel.FILES}"):
                parts[LITE_FOLDER] = f"{lite.uri}/{LiteModel.FILES}"
        for blessing in input_dict.get(standard_component_specs.INFRA_BLESSING_KEY, []):
            if fileio.exists(f"{blessing.uri}/{_WARM_UP_SOURCE}"):
                parts[WARM_UP] = f"{blessing.uri}/{_WARM_UP_SOURCE}"
        return parts

    def _event(
        self, version: int, places: Places, input_dict: dict[str, list[types.Artifact]], forced: str | None
    ) -> history.Event:
        """What the history says of this push before it has happened."""
        served = places.served()
        checked = input_dict.get(standard_component_specs.INFRA_BLESSING_KEY)
        passed = f"passed the gates{' and the serving check' if checked else ''}"
        blessing = artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_BLESSING_KEY])
        return history.event(
            "pushing",
            version,
            previous=str(served) if served else None,
            run_id=self._run_id(),
            model=_model_uri(input_dict),
            reason=f"forced: {forced}" if forced else passed,
            verdicts=blessing.get_int_custom_property(VERDICTS) or None,
            forced=bool(forced),
        )

    def _run_id(self) -> str | None:
        return self._context.pipeline_run_id if self._context else None


def _is_blessed(lite: types.Artifact) -> bool:
    return bool(lite.get_int_custom_property(LiteModel.BLESSED) == 1)


def _was_forced(input_dict: dict[str, list[types.Artifact]]) -> bool:
    blessing = artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_BLESSING_KEY])
    return bool(blessing.get_int_custom_property(FORCED) == 1)


def _model_uri(input_dict: dict[str, list[types.Artifact]]) -> str:
    return str(artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_KEY]).uri)


def _withdrawn(places: Places, input_dict: dict[str, list[types.Artifact]], parts: dict[str, str]) -> str | None:
    """Why the model must not come back by itself: it, or a model of the same bytes, was rolled back."""
    reasons, models = history.withdrawn_models(places), history.models_of(places)
    if _model_uri(input_dict) in reasons:
        return reasons[_model_uri(input_dict)]
    for version in map(str, reversed(versions.whole(places.withdrawn))):
        why = reasons.get(models.get(version, version))
        if why and _holds({"": parts[""]}, _files(str(places.withdrawn / version))):
            return why
    return None


def _copy(parts: dict[str, str], destination: str) -> None:
    """Copies folders and files to their places below the destination; the first is the destination itself."""
    for place, source in parts.items():
        target = os.path.join(destination, place) if place else destination
        (io_utils.copy_dir if fileio.isdir(source) else io_utils.copy_file)(source, target)


def _publish(parts: dict[str, str], places: Places, intent: history.Event) -> None:
    """Copies aside, makes it last and renames; what can't be copied whole is removed."""
    incoming = f"{places.watched}/{versions.INCOMING}-{intent['version']}"
    try:
        _copy(parts, incoming)
        versions.sync_files(Path(incoming))
        history.append(places, intent)
        fileio.rename(incoming, f"{places.watched}/{intent['version']}")
    except Exception:
        if fileio.exists(incoming):
            fileio.rmtree(incoming)
        raise
    versions.sync(places.watched)
    with contextlib.suppress(OSError):  # The version is there: who reads the history next sees that it was pushed.
        history.append(places, {**intent, "action": "pushed"})


def _remove_old(places: Places, keep: int, baseline: list[types.Artifact], run_id: str | None) -> None:
    """Removes what is beyond the newest versions; what can't be removed now is next time."""
    compared = {artifact.uri for artifact in baseline}
    events = history.read(places)
    protected = {int(entry["version"]) for entry in events if entry.get("model") in compared}
    with contextlib.suppress(OSError):
        for path in versions.surplus(places, keep, protected):
            reason = f"{'withdrawn, and ' if path.parent == places.withdrawn else ''}older than the newest {keep}"
            history.append(places, history.event("removed", int(path.name), run_id=run_id, reason=reason))
            versions.remove(places, path)


def _same_files(parts: dict[str, str], version: str) -> bool:
    """Whether a version holds the files of the parts, in their places, with the same bytes, and no other."""
    present = _files(version)
    return _wanted(parts).keys() == present.keys() and _holds(parts, present)


def _holds(parts: dict[str, str], present: dict[str, str]) -> bool:
    """Whether the files of the parts are among some, in their places, with the same bytes."""
    wanted = _wanted(parts)
    return wanted.keys() <= present.keys() and all(
        filecmp.cmp(path, present[name], shallow=False) for name, path in wanted.items()
    )


def _wanted(parts: dict[str, str]) -> dict[str, str]:
    """Name below a version -> path of the file that belongs there."""
    return {
        os.path.normpath(os.path.join(place, name)): path
        for place, source in parts.items()
        for name, path in (_files(source) if fileio.isdir(source) else {"": source}).items()
    }


def _files(folder: str) -> dict[str, str]:
    """Name below the folder -> path."""
    paths = [os.path.join(parent, name) for parent, _, names in fileio.walk(folder) for name in names]
    return {os.path.relpath(path, folder): path for path in paths}

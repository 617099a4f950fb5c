"""Cache keys that are the same on every machine that works on a root, and on every engine that runs Beam jobs.

TFX's key of an execution is a digest of, among others, its input artifacts as ML Metadata has them: with their places,
which are local folders where the root is in a bucket, with the numbers that this store gave to types, and with the times
of the last change. Two machines have none of these in common. `install` has the key made of the places in the bucket,
and of neither of the others: an artifact's id says which one it is.

The key has the node's Beam arguments in it, too. A node makes the same of the same input wherever its jobs run, so
`install` leaves them out: what a cluster made is found by a run in threads, and the other way round, and no port of a
job server makes a new key.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline import mirrored

_OF_THIS_STORE = ("type_id", "create_time_since_epoch", "last_update_time_since_epoch")
_OF_BEAM = ("beam_pipeline_args", "beam_pipeline_args_placeholders")


def install() -> None:
    """Has TFX's launcher make such keys, in this process. A second call changes nothing."""
    from tfx.orchestration.portable import cache_utils

    own = cache_utils.get_cache_context
    if not hasattr(own, "_of_tfx"):
        cache_utils.get_cache_context = _wrapped(own)


def _wrapped(of_tfx: Callable[..., Any]) -> Callable[..., Any]:
    def get_cache_context(
        *args: Any,
        executor_spec: Any = None,
        input_artifacts: Mapping[str, Sequence[Any]] | None = None,
        **more: Any,
    ) -> Any:
        known = input_artifacts or {}
        if mirrored.stand_ins():
            known = {key: [portable(artifact) for artifact in listed] for key, listed in known.items()}
        return of_tfx(*args, executor_spec=anywhere(executor_spec), input_artifacts=known, **more)

    get_cache_context._of_tfx = of_tfx  # type: ignore[attr-defined]
    return get_cache_context


def anywhere(executor_spec: Any) -> Any:
    """A copy of an executor's spec without the Beam arguments; one that has none is itself.

    Raises:
      ValueError: TFX has other fields for them than it had.
    """
    from tfx.proto.orchestration import executable_spec_pb2

    if not isinstance(executor_spec, executable_spec_pb2.BeamExecutableSpec):
        return executor_spec
    made = copy.deepcopy(executor_spec)
    for field in _OF_BEAM:
        made.ClearField(field)
    return made


def portable(artifact: Any) -> Any:
    """A copy of a TFX artifact without what is only of this machine."""
    made = copy.deepcopy(artifact)
    found = made.mlmd_artifact
    for field in _OF_THIS_STORE:
        found.ClearField(field)
    found.uri = mirrored.named(found.uri)
    for values in (found.properties, found.custom_properties):
        for value in values.values():
            if value.HasField("string_value"):
                value.string_value = _named(value.string_value)
    return made


def _named(text: str) -> str:
    for root, folder in mirrored.stand_ins().items():
        text = text.replace(folder, root)
    return text

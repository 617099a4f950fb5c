"""Cache keys that are the same on every machine that works on a root in a bucket.

TFX's key of an execution is a digest of, among others, its input artifacts as ML Metadata has them: with their places,
which are local folders here, with the numbers that this store gave to types, and with the times of the last change. Two
machines have none of these in common. `install` has the key made of the places in the bucket, and of neither of the
others: an artifact's id says which one it is.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline import mirrored

_OF_THIS_STORE = ("type_id", "create_time_since_epoch", "last_update_time_since_epoch")


def install() -> None:
    """Has TFX's launcher make such keys, in this process, where a folder stands for a root. A second call changes nothing."""
    from tfx.orchestration.portable import cache_utils

    own = cache_utils.get_cache_context
    if mirrored.stand_ins() and not hasattr(own, "_of_tfx"):
        cache_utils.get_cache_context = _wrapped(own)


def _wrapped(of_tfx: Callable[..., Any]) -> Callable[..., Any]:
    def get_cache_context(*args: Any, input_artifacts: Mapping[str, Sequence[Any]] | None = None, **more: Any) -> Any:
        known = {key: [portable(artifact) for artifact in listed] for key, listed in (input_artifacts or {}).items()}
        return of_tfx(*args, input_artifacts=known, **more)

    get_cache_context._of_tfx = of_tfx  # type: ignore[attr-defined]
    return get_cache_context


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

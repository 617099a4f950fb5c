"""Pickles that hold nothing but what is on a list.

What a run keeps is read by a later one; whoever can write to the root should not be able to run code by it. So an
unpickler here knows the few classes that it is told of.
"""

import io
import pickle
from collections.abc import Collection
from typing import Any


class _Only(pickle.Unpickler):
    def __init__(self, encoded: bytes, classes: Collection[Any]) -> None:
        super().__init__(io.BytesIO(encoded))
        self._classes = {(one.__module__, one.__qualname__): one for one in classes}

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) in self._classes:
            return self._classes[module_name, global_name]
        expected = ", ".join(sorted(name for _, name in self._classes))
        raise pickle.UnpicklingError(f"{module_name}.{global_name}: expected one of {expected}")


def load(encoded: bytes, classes: Collection[Any]) -> Any:
    """An object of these classes, of Python's plain ones, or of both.

    Args:
      encoded: the pickle.
      classes: those that may be in it, and functions that it may call.

    Raises:
      pickle.UnpicklingError: there is something else in it.
    """
    return _Only(encoded, classes).load()

"""Files of a report: plain JSON values, written whole or not at all."""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """As JSON has it: NaN and infinities are null, keys are texts, numpy's numbers are Python's.

    Raises:
      TypeError: a value of another kind.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool | int):
        return value
    raise TypeError(f"report: expected JSON values. Received: {type(value).__name__}")


def write(path: Path, text: str) -> None:
    """Writes to a temporary name and renames it, so that a reader never sees half of it."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes plain values as JSON, likewise."""
    write(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")

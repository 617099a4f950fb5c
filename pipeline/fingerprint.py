"""Fingerprints of code, so that an edited file never meets a cached result.

TFX's cache key holds the dotted path of user code, not its content. A fingerprint of the code, of every module of ours
that it imports, and of the versions of the libraries that do the work goes into the component's parameters.
"""

import hashlib
import importlib
import importlib.metadata
from functools import cache
from pathlib import Path

import grimp

_PACKAGES = ("pipeline", "components", "serving")
_LIBRARIES = (
    *("tfx", "tfx-bsl", "tensorflow", "keras", "pyarrow"),
    *("tensorflow-data-validation", "tensorflow-transform", "tensorflow-model-analysis"),
)


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(*_PACKAGES, cache_dir=None)


_version = cache(importlib.metadata.version)


def of(*modules: str, settings: object = None) -> str:
    """A digest of modules, of all of ours that they import, directly or not, of settings and of library versions.

    Args:
      modules: dotted names inside `pipeline`, `components` or `serving`.
      settings: anything whose `repr` says it whole, such as frozen dataclasses.

    Returns:
      16 hexadecimal digits.
    """
    closure = set(modules)
    for module in modules:
        closure |= _graph().find_upstream_modules(module)
    digest = hashlib.sha256(repr(settings).encode())
    for module in sorted(closure):
        digest.update(module.encode())
        digest.update(_source(module))
    for library in _LIBRARIES:
        digest.update(f"{library}=={_version(library)}".encode())
    return digest.hexdigest()[:16]


def _source(module: str) -> bytes:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).read_bytes() if spec and spec.origin else b""

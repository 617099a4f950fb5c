"""What every process of a run has imported when it begins: the fork server imports this module, and all others are its forks.

Here is what compiling the graph takes, which is nearly all that a node takes; what only one of them needs, it imports itself.

Importing makes some millions of objects that stay. Python's collector would look at all of them again and again, a fifth of the
time; so it rests meanwhile. Then they are frozen: no collection in a fork looks at them or writes to the pages that
it shares with the server, which would copy them.
"""

import gc
import importlib
import traceback

MODULES = (
    "tensorflow",
    "tfx.orchestration.portable.launcher",
    "pipeline.runners.graph",
    "pipeline.runners.results",
    "pipeline.train.run",
    "pipeline.transform",
    # Each artifact that TFX makes imports it.
    "setuptools",
    # What checks a setting, in each node that loads the task, imports these.
    "pydantic.main",
    "pydantic.type_adapter",
    "pydantic.dataclasses",
)


def _load() -> None:
    """Imports the modules; one that can't be imported is told on the error stream, and whoever needs it fails by itself."""
    gc.disable()
    try:
        for name in MODULES:
            try:
                importlib.import_module(name)
            except Exception:
                traceback.print_exc()
        _fingerprint()
        gc.freeze()
    finally:
        gc.enable()


def _fingerprint() -> None:
    """Has the project's modules scanned once: the compiler asks what they import, and so do the Trainer and the Evaluator."""
    from pipeline import fingerprint

    try:
        fingerprint.of(__name__)
    except Exception:
        traceback.print_exc()


_load()

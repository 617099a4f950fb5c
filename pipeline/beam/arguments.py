"""The Beam arguments of each node."""

import hashlib
import platform
import re

from pipeline import image
from pipeline.beam import known, place, settings
from pipeline.beam.choice import Choice, choices
from pipeline.beam.engines import ENGINES
from pipeline.config import RunConfig
from pipeline.errors import UsageError
from pipeline.flink import state
from pipeline.task import Task

_SDK_IMAGE = "sdk_container_image"
_NO_PACKAGE = f"--{_SDK_IMAGE}=local"
"""The name of an image that nobody reads keeps TFX from packing itself for remote workers, seconds for each node."""
_PACKAGED_BY = ("setup_file", "extra_package", "extra_packages", "requirements_file", _SDK_IMAGE)
_ENVIRONMENT = ("environment_type", "environment_config", "environment_option", "environment_options")
_LOCAL = "local"


def by_node(task: Task, config: RunConfig) -> dict[str, list[str]]:
    """Node -> its arguments, for every node that works with Beam.

    Raises:
      UsageError: no engine is where the options say, or they say nothing.
    """
    return {node: arguments(config, node, choice) for node, choice in choices(task, config).items()}


def arguments(config: RunConfig, node: str, choice: Choice | None = None) -> list[str]:
    """One node's.

    Args:
      config: of the run.
      node: its id.
      choice: of its engine; without one that which the user asked for.

    Raises:
      UsageError: no engine is where the options say, or they say nothing.
    """
    engine = ENGINES[choice.engine if choice else config.beam_runner]
    if not engine.by_size:
        return [f"--runner={engine.runner}", _NO_PACKAGE, *_flags(_for_a_local_node(config, node))]
    return [f"--runner={engine.runner}", *_flags(on_cluster(config, node))]


def _for_a_local_node(config: RunConfig, node: str) -> list[tuple[str, str]]:
    """The user's options; where they are meant for a cluster, those that hold everywhere."""
    asked = settings.options_of(config, node)
    if not ENGINES[config.beam_runner].by_size:
        return asked
    options = known.options() if asked else {}
    return [(key, value) for key, value in asked if key in options and options[key].everywhere]


def on_cluster(config: RunConfig, node: str) -> list[tuple[str, str]]:
    """The options of a node that goes to a cluster, with all that follows from where it is.

    Raises:
      UsageError: no engine is where the options say, or they say nothing.
    """
    engine = ENGINES[config.beam_runner]
    asked = settings.options_of(config, node)
    given = dict(asked)
    added = {"job_name": job_name(config, node)}
    if engine.places and not any(name in given for name in engine.places):
        added |= _of_this_machine(engine.name)
    if engine.places and not any(name in given or name in added for name in _ENVIRONMENT):
        where = next((given[name] for name in engine.places if name in given), "")
        if place.is_here(where):
            # What Beam does itself for a cluster that it starts: the workers are threads of the node's process.
            added["environment_type"] = "LOOPBACK"
    if not any(name in given for name in _PACKAGED_BY):
        added |= _package(place.workers(added | given, engine.places) is not None)
    return [*((key, value) for key, value in added.items() if key not in given), *asked]


def _of_this_machine(engine: str) -> dict[str, str]:
    """The options that lead to the cluster that `millrace cluster up` started."""
    found = state.read() if engine == "flink" else None
    if found is None:
        flags = " or ".join(f"--beam {name}=HOST:PORT" for name in ENGINES[engine].places)
        started = "millrace cluster up, or " if engine == "flink" else ""
        raise UsageError(
            f"--beam-runner {engine}: where is it? Expected {flags}"
            f"{', or a cluster of this machine' if started else ''}. Received: neither. Next: {started}"
            f"--beam {ENGINES[engine].places[-1]}=HOST:PORT"
        )
    return {
        "job_endpoint": found.job_endpoint,
        "environment_type": "EXTERNAL",
        "environment_config": found.worker_pool,
        "parallelism": str(found.slots),
    }


def _package(elsewhere: bool) -> dict[str, str]:
    """How the project reaches the workers: those on other machines install it."""
    return {"setup_file": str(image.ROOT / "setup.py")} if elsewhere else {_SDK_IMAGE: _LOCAL}


def job_name(config: RunConfig, node: str) -> str:
    """`millrace-taxi-tips-transform-1b2c3d4e`: the same in every run of a root on a machine, where one runs at a time.

    So a dead run's jobs can be told, and those of other machines on a root in a bucket are left alone.
    """
    digest = hashlib.sha256(f"{config.home_url} {platform.node()}".encode()).hexdigest()[:8]
    return re.sub(r"[^a-z0-9]+", "-", f"millrace-{config.task}-{node}-{digest}".lower())


def _flags(options: list[tuple[str, str]]) -> list[str]:
    """Options as Beam takes them: a switch has no value."""
    found = known.options() if options else {}
    flags = []
    for key, value in options:
        if key in found and found[key].is_switch:
            flags += [found[key].flag] if value.lower() == "true" else []
        else:
            flags.append(f"{found[key].flag if key in found else f'--{key}'}={value}")
    return flags

"""Where an engine is, and where its workers are: what of this machine they reach."""

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pipeline.beam.engines import ENGINES, Engine

_OF_THIS_MACHINE = re.compile(r"\[(local|auto)\]|local(\[.*\])?|localhost")
_SCHEME = re.compile(r"^[a-z]+://")


def host(address: str) -> str:
    """The host of `host:port`, of a URL, or of Spark's `spark://host:port`."""
    return urlsplit(address if _SCHEME.match(address) else f"//{address}").hostname or address


def port(address: str) -> int | None:
    """The port, where the address has one."""
    try:
        return urlsplit(address if _SCHEME.match(address) else f"//{address}").port
    except ValueError:
        return None


def rest(master: str) -> str | None:
    """The address that Flink's REST API is asked at, for a `flink_master`; None where it names none, as `[auto]`."""
    if port(master) is None:
        return None
    return (master if "://" in master else f"http://{master}").rstrip("/")


def is_here(address: str) -> bool:
    """Whether an address is this machine's own, on loopback."""
    if _OF_THIS_MACHINE.fullmatch(address):
        return True
    name = host(address)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def workers(options: Mapping[str, str], places: tuple[str, ...]) -> str | None:
    """Where the workers are that do not see the folders of this machine; None where all of them do.

    Args:
      options: Beam's, as they are given.
      places: the options that say where the engine is; none for Dataflow.
    """
    if not places:
        return "Dataflow"
    kind = options.get("environment_type", "DOCKER")
    where = next((options[name] for name in places if name in options), "")
    if kind == "LOOPBACK":
        return None
    if not is_here(where):
        return host(where)
    pool = external(options)
    if kind == "EXTERNAL" and not is_here(pool):
        return host(pool) or "an unknown host"
    return "containers" if kind == "DOCKER" else None


def of_arguments(arguments: Sequence[str]) -> str | None:
    """As `workers`, of a node's arguments; None for a runner in process."""
    engine = engine_of(arguments)
    options = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)
    return workers(options, engine.places) if engine else None


def engine_of(arguments: Sequence[str]) -> Engine | None:
    """The cluster's engine that a node's arguments name; None for a runner in process."""
    return next((one for one in ENGINES.values() if one.by_size and f"--runner={one.runner}" in arguments), None)


def external(options: Mapping[str, str]) -> str:
    """The address of a pool of workers, as the engine's machines see it; "" where none is given."""
    config = options.get("environment_config", "")
    if config.startswith("{"):
        try:
            loaded: Any = json.loads(config)
        except ValueError:
            return ""
        return str(loaded.get("url", ""))
    option = options.get("environment_options") or options.get("environment_option") or ""
    prefix, _, address = option.partition("=")
    return config or (address if prefix == "external_service_address" else "")

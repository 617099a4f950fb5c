"""Versions of Flink and Beam: of a cluster, of a job server, and here. They have to fit."""

import importlib.metadata
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import PurePath

from pipeline.beam import known, place

_JAR = re.compile(r"beam-runners-(flink|spark)-([\d.]+)-job-server-(\d+\.\d+(?:\.\d+)?)")
_SECONDS = 3.0


def beam() -> str:
    """Of Beam's Python SDK here."""
    return importlib.metadata.version("apache-beam")


def of_jar(path: str) -> tuple[str, str] | None:
    """Versions of the engine and of Beam that a job server's jar has in its name."""
    found = _JAR.search(PurePath(path).name)
    return (found[2], found[3]) if found else None


def of_flink(master: str) -> str | None:
    """Of the Flink whose REST address this is; None where it doesn't tell."""
    url = place.rest(master)
    if url is None:
        return None
    try:
        with urllib.request.urlopen(f"{url}/config", timeout=_SECONDS) as answer:  # noqa: S310 - http, by `port`
            found = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return None
    return str(found["flink-version"]) if isinstance(found, dict) and "flink-version" in found else None


def minor(version: str) -> str:
    """`1.19` of `1.19.3`."""
    return ".".join(version.split(".")[:2])


def problems(engine: str, options: Mapping[str, str], jar: str | None, allow_beam: bool) -> list[str]:
    """What does not fit between a cluster, the job server that Beam would start for it, and this machine.

    Args:
      engine: its name.
      options: Beam's, as they are given.
      jar: the option that names a job server's jar.
      allow_beam: whether a job server of another Beam will do.
    """
    named = options.get(jar, "") if jar else ""
    there, found = of_jar(named), []
    if there and minor(there[1]) != minor(beam()) and not allow_beam:
        found.append(
            f"{jar}: {PurePath(named).name} is of Beam {there[1]}. Expected that of Python's, {beam()}. "
            "Next: the jar of that version, or --beam allow_version_mismatch=true"
        )
    master = options.get("flink_master")
    if engine != "flink" or not master:
        return found
    cluster = of_flink(master)
    asked = there[0] if there else options.get("flink_version") or str(known.options()["flink_version"].default)
    if cluster and asked and minor(asked) != minor(cluster):
        source = PurePath(named).name if there else f"flink_version={asked}"
        found.append(
            f"flink_master: {master} is Flink {cluster}, and {source} is for {asked}: they do not speak with each other. "
            f"Next: {f'the job server for {minor(cluster)}' if there else f'--beam flink_version={minor(cluster)}'}"
        )
    return found

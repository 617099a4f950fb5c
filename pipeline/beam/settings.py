"""The flags that say where Beam jobs run, and a profile with the same, as RunConfig keeps them.

    --beam-runner flink --beam job_endpoint=flink:8099 --beam-node Transform.parallelism=8 --beam-node Evaluator=local
    --beam-profile flink.yaml

A profile is a file of YAML; a flag wins over it:

    runner: flink
    local_below: 500MB
    options: {job_endpoint: "flink:8099", environment_type: EXTERNAL, environment_config: "localhost:50000"}
    nodes:
      Transform: {parallelism: 8}
      Evaluator: local
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.beam import NODES
from pipeline.beam.engines import ENGINES
from pipeline.config import RunConfig
from pipeline.errors import UsageError, nearest, raise_all

ALL = "all"
PLACES = ("local", "cluster")
LOCAL_BELOW = "local_below"
SHARED_FOLDERS = "shared_folders"
ALLOW_VERSION_MISMATCH = "allow_version_mismatch"
OURS = (LOCAL_BELOW, SHARED_FOLDERS, ALLOW_VERSION_MISMATCH)
"""Options that are Millrace's: Beam is not told."""

_DEFAULT_LOCAL_BELOW = "2GB"
_FIELDS = ("runner", "options", "nodes", LOCAL_BELOW)
_PAIR = re.compile(r"\w+=.*", re.DOTALL)
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?B)?", re.IGNORECASE)


def given(
    runner: str | None, options: Iterable[str] | None, nodes: Iterable[str] | None, profile: str | None
) -> dict[str, Any]:
    """What the flags come to, as fields of RunConfig.

    Args:
      runner: `--beam-runner`; None: the profile's, else "local".
      options: each `KEY=VALUE`.
      nodes: each `NODE=local|cluster` or `NODE.KEY=VALUE`.
      profile: a file of YAML.

    Raises:
      UsageError: with all that is not understood.
    """
    found = _profile(profile) if profile else RunConfig("")
    runner = runner or found.beam_runner
    problems = []
    if runner not in ENGINES:
        problems.append(f"--beam-runner: no runner {runner!r}.{nearest(runner, ENGINES)}")
    for option in options or ():
        if not _PAIR.fullmatch(option) or option.startswith("runner="):
            problems.append(f"--beam {option}: expected KEY=VALUE; the runner is chosen by --beam-runner")
    for text in nodes or ():
        problems += _wrong_node(text, "--beam-node ")
    if runner in ENGINES and not ENGINES[runner].by_size:
        problems += [
            f"--beam-node {text}: there is no cluster. Expected --beam-runner flink, spark or dataflow"
            for text in (*found.beam_nodes, *(nodes or ()))
            if text.endswith("=cluster") and "." not in text.partition("=")[0]
        ]
    if len(problems) == 1:
        raise UsageError(problems[0])
    raise_all(UsageError, "Where are the Beam jobs to run?", problems)
    return {
        "beam_runner": runner,
        "beam_options": _merged(found.beam_options, options or ()),
        "beam_nodes": _merged(found.beam_nodes, nodes or ()),
    }


def ours(config: RunConfig, name: str) -> str | None:
    """The value of an option that is Millrace's; the last one counts."""
    values = [value for key, value in pairs(config.beam_options) if key == name]
    return values[-1] if values else None


def is_set(config: RunConfig, name: str) -> bool:
    """Whether an option of Millrace's is true."""
    return (ours(config, name) or "").lower() == "true"


def local_below(config: RunConfig) -> int:
    """Bytes of data below which a node works in its own process.

    Raises:
      UsageError: it is no size.
    """
    return size(ours(config, LOCAL_BELOW) or _DEFAULT_LOCAL_BELOW)


def size(text: str) -> int:
    """Bytes of "500MB", "2 GB" or a number.

    Raises:
      UsageError: it is none of these.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{LOCAL_BELOW}: expected a size such as 500MB or 2GB. Received: {text}")
    return int(float(found[1]) * _BYTES[(found[2] or "").upper()])


def options_of(config: RunConfig, node: str) -> list[tuple[str, str]]:
    """Beam's options for a node, its own last: of one that is given twice the last counts."""
    chosen = [(key, value) for key, value in pairs(config.beam_options) if key not in OURS]
    for whose in (ALL, node):
        for text in config.beam_nodes:
            name, _, value = text.partition("=")
            owner, dot, key = name.partition(".")
            if dot and owner == whose:
                chosen.append((key, value))
    return chosen


def forced(config: RunConfig, node: str) -> str | None:
    """`local` or `cluster`, where the user says so: for this node, else for all."""
    said = {name: place for name, place in pairs(config.beam_nodes) if "." not in name}
    return said.get(node, said.get(ALL))


def pairs(texts: Iterable[str]) -> list[tuple[str, str]]:
    """`KEY=VALUE`, split."""
    return [(key, value) for key, _, value in (text.partition("=") for text in texts)]


def _merged(first: Iterable[str], last: Iterable[str]) -> tuple[str, ...]:
    """Both, without those of the first that the last gives anew."""
    again = {key for key, _ in pairs(last)}
    return (*(text for text in first if text.partition("=")[0] not in again), *last)


def _wrong_node(text: str, where: str) -> list[str]:
    name, equals, value = text.partition("=")
    node, dot, key = name.partition(".")
    known = (ALL, *NODES)
    if not equals or not node or (dot and not key):
        return [f"{where}{text}: expected NODE=local, NODE=cluster or NODE.KEY=VALUE"]
    if node not in known:
        return [f"{where}{text}: no node {node!r} that works with Beam.{nearest(node, known)}"]
    if not dot and value not in PLACES:
        return [f"{where}{text}: expected {' or '.join(PLACES)}. Received: {value or 'nothing'}"]
    if dot and (key == "runner" or key in OURS):
        return [
            f"{where}{text}: {key} is for all nodes. Next: {'--beam-runner' if key == 'runner' else f'--beam {key}=…'}"
        ]
    return []


def _profile(path: str) -> RunConfig:
    """A profile, in the fields of a RunConfig.

    Raises:
      UsageError: with all that is wrong with it.
    """
    try:
        loaded = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--beam-profile {path}: {error.strerror}. Expected a file of YAML") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--beam-profile {path} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(loaded, dict):
        raise UsageError(
            f"--beam-profile {path}: expected fields such as runner and options. Received: {type(loaded).__name__}"
        )
    problems = [f"no field {name!r}.{nearest(str(name), _FIELDS)}" for name in loaded if name not in _FIELDS]
    options, nodes, below = loaded.get("options") or {}, loaded.get("nodes") or {}, loaded.get(LOCAL_BELOW)
    runner = loaded.get("runner", "local")
    if runner not in ENGINES:
        problems.append(f"runner: no runner {runner!r}.{nearest(str(runner), ENGINES)}")
    for name, value in (("options", options), ("nodes", nodes)):
        if not isinstance(value, dict):
            problems.append(f"{name}: expected a mapping. Received: {type(value).__name__}")
    raise_all(UsageError, f"--beam-profile {path}:", problems)
    if "runner" in options:
        problems.append("options: runner is a field of its own")
    texts = [text for key, value in options.items() for text in _texts(str(key), value)]
    if below is not None:
        texts.append(f"{LOCAL_BELOW}={below}")
    of_nodes = []
    for node, value in nodes.items():
        said = (
            [text for key, one in value.items() for text in _texts(f"{node}.{key}", one)]
            if isinstance(value, Mapping)
            else [f"{node}={value}"]
        )
        problems += [problem for text in said for problem in _wrong_node(text, "nodes: ")]
        of_nodes += said
    raise_all(UsageError, f"--beam-profile {path}:", problems)
    return RunConfig("", beam_runner=runner, beam_options=tuple(texts), beam_nodes=tuple(of_nodes))


def _texts(key: str, value: Any) -> list[str]:
    """`KEY=VALUE` of a value of YAML; of a list one each."""
    if isinstance(value, list):
        return [text for one in value for text in _texts(key, one)]
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}"]

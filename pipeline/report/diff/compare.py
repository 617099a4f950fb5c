"""Two runs side by side, as plain values."""

from collections.abc import Mapping
from typing import Any

from pipeline.config import RunConfig
from pipeline.report import index
from pipeline.report.diff import cause, data, metrics
from pipeline.report.sources import Run
from pipeline.runners.environment import private

VERSION = 1
_NO_PARAMETERS = frozenset({"task", "root", "overrides", "cache", "from_nodes", "to_nodes", "predict", "predict_out"})
"""Fields of RunConfig that change neither data nor model."""


def compare(a: Run, b: Run) -> dict[str, Any]:
    """What changed from run A to run B.

    Args:
      a: the run to compare with, most often the older one.
      b: the other.

    Returns:
      JSON values: `{"version", "task", "a", "b", "data", "schema", "code", "libraries", "parameters", "machine", "nodes",
      "metrics", "changes", "cause"}`. `code`, `libraries`, `parameters` and `machine` are `{"changes": [{"name", "a",
      "b"}]}`, None in place of the list where a run has not recorded them. `cause` is a list of sentences.
    """
    found: dict[str, Any] = {
        "version": VERSION,
        "task": b.record["task"],
        "a": _run(a),
        "b": _run(b),
        "data": data.compare(a, b),
        "schema": data.schemas(a, b),
        "code": {"changes": _code(a.record, b.record)},
        "libraries": {"changes": _libraries(a.record, b.record)},
        "parameters": {
            "changes": _sorted(_parameters(a.record, b.record)),
            "settings": _settings_known(a.record, b.record),
        },
        "machine": {"changes": _machine(a.record, b.record)},
        "nodes": _nodes(a.record, b.record),
    }
    split_alike = not any(change["name"].startswith("split") for change in found["parameters"]["changes"])
    found["metrics"] = metrics.compare(a, b, bool(found["data"]["same"]) and split_alike)
    found["changes"] = cause.changes(found)
    found["cause"] = cause.cause(found, found["changes"])
    return found


def _run(run: Run) -> dict[str, Any]:
    record = run.record
    said, tone = index.OUTCOMES.get(record["outcome"], (record["outcome"], "off"))
    page = run.home / "reports" / record["run_id"] / "index.html"
    return {
        "run_id": record["run_id"],
        "started": record["started"],
        "said": said,
        "tone": tone,
        "reason": index.reason_of(record, run.task),
        "seconds": record["seconds"],
        "version": (record.get("pushed") or {}).get("version"),
        "report": f"{record['run_id']}/index.html" if page.is_file() else None,
    }


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Names whose values differ."""
    names = dict.fromkeys((*b, *a))
    return [{"name": name, "a": a.get(name), "b": b.get(name)} for name in names if a.get(name) != b.get(name)]


def _environments(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """What both runs recorded of their surroundings."""
    first, second = a.get("environment"), b.get("environment")
    return (first, second) if first and second else None


def _code(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Nothing where the modules are equal, whatever the commit; else digest, version, and commit."""
    both = _environments(a, b)
    if both is None:
        return None
    first, second = both[0]["code"], both[1]["code"]
    if first["digest"] == second["digest"]:
        return []
    return _differing(_commit(first), _commit(second))


def _commit(code: Mapping[str, Any]) -> dict[str, Any]:
    commit = f"{code['commit'][:12]}{' with changes' if code['dirty'] else ''}" if code["commit"] else None
    return {"commit": commit, "version": code["version"], "modules": code["digest"]}


def _libraries(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    both = _environments(a, b)
    if both is None:
        return None
    found = [{"python": one["python"], **{each["name"]: each["version"] for each in one["libraries"]}} for one in both]
    return _differing(*found)


def _machine(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    both = _environments(a, b)
    return None if both is None else _differing(both[0]["machine"], both[1]["machine"])


def _settings_known(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return _environments(a, b) is not None


def _parameters(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Flags, and the task's settings; of runs that did not record these, what was given by --set."""
    flags = [_flags(record.get("config") or {}) | _starts(record) for record in (a, b)]
    both = _environments(a, b)
    if both is not None:
        return _differing(flags[0], flags[1]) + _differing(both[0]["settings"], both[1]["settings"])
    given = [_overrides(record.get("config") or {}) for record in (a, b)]
    return _differing(flags[0], flags[1]) + _differing(given[0], given[1])


def _sorted(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a model is made from first."""
    return sorted(changes, key=lambda change: change["name"].split(".")[0] in cause.JUDGING)


def _flags(config: Mapping[str, Any]) -> dict[str, str]:
    """Those that have an effect, and are not left as they are by default."""
    plain = RunConfig(task=str(config.get("task", "")))
    found = {name: value for name, value in config.items() if name not in _NO_PARAMETERS and hasattr(plain, name)}
    kept = {
        name: value for name, value in found.items() if value not in (None, [], ()) and value != getattr(plain, name)
    }
    return {f"--{name.replace('_', '-')}": private(str(value)) for name, value in kept.items()}


def _starts(record: Mapping[str, Any]) -> dict[str, str]:
    """The runs that a training took weights or values from."""
    taken = {"warm start from run": (record.get("warm_start") or {}).get("from")}
    taken["values tuned by run"] = (record.get("tuned") or {}).get("run")
    return {name: str(run) for name, run in taken.items() if run}


def _overrides(config: Mapping[str, Any]) -> dict[str, str]:
    """Path -> value, of --set."""
    return {path: value for path, _, value in (str(each).partition("=") for each in config.get("overrides") or ())}


def _nodes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How each node ended, and which results came from the cache: what it was made from had not changed."""
    before, after = a.get("nodes") or {}, b.get("nodes") or {}
    empty = {"state": "not there", "seconds": None}
    return [
        {
            "node": node,
            "a": before.get(node, empty)["state"],
            "b": after.get(node, empty)["state"],
            "a_seconds": before.get(node, empty)["seconds"],
            "b_seconds": after.get(node, empty)["seconds"],
        }
        for node in dict.fromkeys((*after, *before))
    ]

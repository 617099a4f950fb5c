"""What a run was made from: data, schema, code, parameters, artifacts, libraries. And the model card."""

import dataclasses
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline import schema
from pipeline.config import RunConfig
from pipeline.report.card import card
from pipeline.report.sources import Run
from pipeline.runners.environment import private

NAME = "lineage"
TITLE = "Lineage and model card"
_FILES = 200


def collect(run: Run) -> dict[str, Any]:
    """Where a run came from.

    Returns:
      `data`, `schema`, `artifacts` of the run's artifacts; `code`, `libraries`, `machine`, `settings` of run.json's
      `environment`, None in runs from before it was recorded; `config`, the flags, and `overrides`; `docs`, the task's
      docstring; `card`, the model card in Markdown.
    """
    record = run.record
    surroundings = record.get("environment") or {}
    found: dict[str, Any] = {
        "known": run.task is not None,
        "data": _data(run),
        "schema": _schema(run),
        "code": surroundings.get("code"),
        "python": surroundings.get("python"),
        "libraries": surroundings.get("libraries"),
        "machine": surroundings.get("machine"),
        "config": _config(record.get("config") or {}),
        "overrides": list((record.get("config") or {}).get("overrides") or ()),
        "changed": surroundings.get("changed"),
        "artifacts": _artifacts(run),
        "docs": docs(record["task"]) if run.task else [],
    }
    return found | {"card": card(run, found)}


def charts(part: Mapping[str, Any]) -> dict[str, Markup]:
    """None."""
    return {}


def docs(task: str) -> list[dict[str, str]]:
    """A task's docstring: its paragraphs `Word: text` as `{"title", "text"}`; what has no word is titled ""."""
    text = inspect.getdoc(importlib.import_module(f"pipeline.tasks.{task}")) or ""
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        word, colon, rest = line.partition(": ")
        begins = bool(colon) and word[:1].isupper() and len(word.split()) <= 3
        if begins:
            found.append({"title": word, "text": rest.strip()})
        elif not line.strip() or not found:
            found.append({"title": "", "text": line.strip()})
        else:
            found[-1]["text"] = f"{found[-1]['text']} {line.strip()}".strip()
    return [paragraph for paragraph in found if paragraph["text"]]


def _data(run: Run) -> dict[str, Any] | None:
    """Files and rows, as ExampleGen's account has them; None where it has not run."""
    account = run.json("ExampleGen", "quarantine", "account.json")
    examples = run.artifacts.get(("ExampleGen", "examples"))
    if account is None and examples is None:
        return None
    files = [
        {
            "file": private(file["file"]),
            "kib": _kib(file["file"]),
            "span": file.get("span_name") if account and account.get("span_name") not in (None, "0") else None,
            "rows": file["rows"],
            "quarantined": file["quarantined"],
            "digest": file.get("digest"),
        }
        for file in (account or {}).get("files", ())
    ]
    return {
        "files": files[:_FILES],
        "count": len(files),
        "spans": list(run.record.get("spans") or ()),
        "rows": account["rows"] if account else None,
        "splits": [{"split": name, "rows": rows} for name, rows in account["splits"].items()] if account else [],
        "quarantined": account["quarantined"] if account else None,
        "fingerprint": examples.custom_properties["input_fingerprint"].string_value or None if examples else None,
    }


def _kib(path: str) -> float | None:
    """Size of a file on this machine that is still there."""
    if "://" in path:
        return None
    try:
        return Path(path).stat().st_size / 1024
    except OSError:
        return None


def _schema(run: Run) -> dict[str, Any] | None:
    """The schema that was used; None where the run did not come so far."""
    folder = run.uri("SchemaGen", "schema")
    path = folder / "schema.pbtxt" if folder else None
    if path is None or not path.is_file():
        return None
    recorded = run.record.get("environment")
    curated = recorded["schema"] if recorded else None
    return {
        "curated": None if recorded is None else curated is not None,
        "path": curated["path"] if curated else None,
        "digest": schema.digest(path),
        "file_digest": curated["digest"] if curated else None,
        "columns": len(schema.parse(path.read_text("utf-8"), path).feature),
    }


def _config(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The flags of a run, those that are not the default first; folders are left out."""
    known = {field.name: field for field in dataclasses.fields(RunConfig)}
    found = []
    for name, value in config.items():
        if name in ("task", "root", "overrides") or name not in known:
            continue
        default = known[name].default
        same = value == (list(default) if isinstance(default, tuple) else default)
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        found.append({"name": name, "value": private(shown) or "none", "default": same})
    return sorted(found, key=lambda entry: entry["default"])


def _artifacts(run: Run) -> list[dict[str, Any]]:
    """Each artifact, its folder from that of the task on."""
    home = str(Path(str((run.record.get("config") or {}).get("root", ""))) / run.record["task"]) + "/"
    return [
        {
            "node": node,
            "key": key,
            "type": artifact.type,
            "id": artifact.id,
            "uri": private(artifact.uri.removeprefix(home)),
            "cached": bool((run.record.get("nodes") or {}).get(node, {}).get("cached")),
        }
        for (node, key), artifact in run.artifacts.items()
    ]

"""What was served, read from `history.jsonl`: one JSON object a line, written by the Pusher and by `millrace rollback`."""

import json
import logging
from typing import Any

from tfx.dsl.io import fileio


def served(path: str) -> list[str]:
    """URIs of the models that were served and not withdrawn, the present one first, each once.

    A rollback withdraws what its entry names, or else every version above the one that it goes back to. A withdrawn model that is pushed again, which
    takes a word from somebody, counts again. The end of a line that a kill cut off is left out.

    Args:
      path: of the history; empty, or of no file, where nothing was ever served.
    """
    order: list[str] = []
    versions: dict[int, str] = {}
    withdrawn: set[str] = set()
    for entry in _entries(path):
        if entry.get("action") == "pushed" and entry.get("model"):
            versions[int(entry["version"])] = entry["model"]
            withdrawn.discard(entry["model"])
            order.append(entry["model"])
        elif entry.get("action") == "rolled_back":
            version = int(entry["version"])
            named = entry.get("withdrawn", [number for number in versions if number > version])
            withdrawn |= {versions[int(number)] for number in named if int(number) in versions}
            model = entry.get("model") or versions.get(version)
            if model:
                withdrawn.discard(model)
                order.append(model)
    return list(dict.fromkeys(model for model in reversed(order) if model not in withdrawn))


def _entries(path: str) -> list[dict[str, Any]]:
    if not path or not fileio.exists(path):
        return []
    with fileio.open(path, "r") as file:
        lines = file.read().splitlines()
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(json.loads(line))
        except ValueError:
            logging.warning("%s, line %d is no JSON and is left out: %.80s", path, number, line)
    return [entry for entry in entries if isinstance(entry, dict)]

"""What was served when and why: `<root>/<task>/serving/history.jsonl`, one JSON object a line, only ever added to.

    {"time": "2026-11-21T06:24:05Z", "action": "pushed", "version": "1795242245", "previous": null,
     "run_id": "20261121T062001", "model": "…/Trainer/model/7", "reason": "passed the gates", "verdicts": 4,
     "forced": false, "by": "ann"}

What happens to a version is a rename, and a process can be killed on either side of it. So an intent is written first:
`pushing` or `rolling_back`, with all that the event will say. After the rename follows the event itself. An intent
that was not followed by its event is settled by the folders, since they are what a server sees: `read` does so for who
reads, `recover` for good, and takes back a rollback that was killed half-way.

| action | meaning of `version`, and what else there is |
|---|---|
| `pushed` | is served from now on |
| `rolled_back` | is served from now on; `withdrawn`: what made way for it; `restored`: whether it was withdrawn before |
| `removed` | was too old |
| `delivered`, `not_delivered` | is served by a `target` too, or is not, because of `reason` |
| `abandoned` | was not pushed, or gone back to, in the end: the process was killed |
"""

import contextlib
import getpass
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.push import versions
from pipeline.push.versions import Places

Event = dict[str, Any]

INTENTS = {"pushing": "pushed", "rolling_back": "rolled_back"}
"""An intent -> the event that ends it."""


_KEYS = {"time", "action", "version", "previous", "run_id", "model", "reason", "forced", "by"}


def event(action: str, version: int, **more: Any) -> Event:
    """An event of now, by this user.

    Args:
      action: see the module.
      version: that it is about.
      more: `previous`, `run_id`, `model`, `reason`, `forced` and what else is known; no secret.
    """
    known: Event = {"previous": None, "run_id": None, "model": None, "reason": None, "forced": False}
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"time": now, "action": action, "version": str(version), **known, **more, "by": _user()}


def append(places: Places, entry: Event) -> None:
    """Adds a line and makes it last. A line that an earlier writer left half is ended first.

    Raises:
      OSError: the disk is full; what was there can be read as before.
    """
    places.history.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(entry, ensure_ascii=False) + "\n"
    with places.history.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            line = line if stream.read(1) == b"\n" else f"\n{line}"
        stream.write(line.encode())
        stream.flush()
        os.fsync(stream.fileno())
    versions.sync(places.history.parent)


def read(places: Places) -> list[Event]:
    """All events, oldest first, without the intents; one that nothing followed is settled by the folders.

    Versions from before there was a history come first, as `found`. Reading needs no lock and writes nothing.
    """
    events = _settled(places, _lines(places.history))
    pushed = {entry["version"] for entry in events if entry["action"] == "pushed"}
    present = sorted(versions.whole(places.watched) + versions.whole(places.withdrawn))
    return [_found(version) for version in present if str(version) not in pushed] + events


def recover(places: Places) -> None:
    """Ends what a killed process began, on disk and in the history; the caller holds the root's lock.

    A push whose version is there has happened. A rollback that had not come to its last rename is taken back: until
    then the server has seen nothing of it.
    """
    events = _lines(places.history)
    if not events or events[-1]["action"] not in INTENTS:
        return
    intent = events[-1]
    if intent["action"] == "rolling_back" and not _happened(places, intent):
        for name in intent["withdrawn"]:
            aside, back = places.withdrawn / name, places.watched / name
            if aside.is_dir() and not back.exists():
                versions.move(aside, back)
        own = places.watched / intent["version"]
        if intent["restored"] and own.is_dir():
            versions.move(own, places.withdrawn / intent["version"])
    append(places, _settled(places, events)[-1])


def withdrawn(home: Path, model: str) -> str | None:
    """Why a model must not be pushed again by itself: it was rolled back; None where it may be.

    Args:
      home: `<root>/<task>`, as `RunConfig.home`.
      model: URI of the Model artifact.
    """
    return withdrawn_models(Places(home / "serving" / home.name)).get(model)


def withdrawn_models(places: Places) -> dict[str, str]:
    """URI of a Model artifact -> a sentence that says why it is withdrawn, by what last happened to it.

    A version whose model is not known, since it is from before there was a history, is here by its own number.
    """
    models = models_of(places)
    reasons: dict[str, str] = {}
    for entry in read(places):
        if entry["action"] in ("pushed", "rolled_back"):
            for version in entry.get("withdrawn", ()):
                reasons[models.get(version, version)] = sentence(version, entry)
            served = str(entry["version"])
            reasons.pop(models.get(served, served), None)
    return reasons


def served_models(places: Places) -> list[str]:
    """URIs of the Model artifacts that were served and not withdrawn since, the present one first, each once."""
    models = models_of(places)
    order: list[str] = []
    gone: set[str] = set()
    for entry in read(places):
        if entry["action"] in ("pushed", "rolled_back"):
            gone |= {models[version] for version in entry.get("withdrawn", ()) if version in models}
            model = models.get(entry["version"])
            if model:
                gone.discard(model)
                order.append(model)
    return list(dict.fromkeys(model for model in reversed(order) if model not in gone))


def models_of(places: Places) -> dict[str, str]:
    """Version -> URI of the Model artifact that was pushed."""
    return {e["version"]: e["model"] for e in read(places) if e["action"] == "pushed" and e.get("model")}


def sentence(version: str | int, entry: Event) -> str:
    """Why a version was withdrawn, from the event that did it."""
    why = f": {entry['reason']}" if entry["reason"] else ", without a reason"
    return f"version {version} of this model was withdrawn on {entry['time']} by {entry['by']}{why}"


def state(places: Places, version: str) -> str:
    """What has become of a version: served, kept, withdrawn or gone."""
    if version == str(places.served()):
        return "served"
    folder = places.find(int(version)) if version.isdigit() else None
    if folder is None:
        return "gone"
    return "kept" if folder.parent == places.watched else "withdrawn"


def highest(places: Places) -> int:
    """The highest number that ever was a version: none is used twice, for other files."""
    used = [int(entry["version"]) for entry in _lines(places.history) if entry["version"].isdigit()]
    return max(
        [0, *used, *(int(name) for folder in (places.watched, places.withdrawn) for name in versions.names(folder))]
    )


def delivered_to(places: Places) -> list[dict[str, Any]]:
    """The targets that versions were delivered to, each as `settings.as_json` made it, the oldest first."""
    found: dict[str, dict[str, Any]] = {}
    for entry in read(places):
        if entry["action"] in ("delivered", "not_delivered"):
            found[json.dumps(entry["target"], sort_keys=True)] = entry["target"]
    return list(found.values())


def _settled(places: Places, lines: list[Event]) -> list[Event]:
    """Lines with every intent replaced: by nothing where an event follows, else by what the folders say."""
    found: list[Event] = []
    for index, entry in enumerate(lines):
        if entry["action"] not in INTENTS:
            found.append(entry)
        elif index == len(lines) - 1:
            action = INTENTS[entry["action"]] if _happened(places, entry) else "abandoned"
            found.append({**entry, "action": action})
    return found


def _happened(places: Places, intent: Event) -> bool:
    """Whether the last rename of what was begun was made."""
    version = int(intent["version"])
    if intent["action"] == "pushing":
        return places.find(version) is not None
    return places.served() == version


def _found(version: int) -> Event:
    moment = datetime.fromtimestamp(version, UTC) if version < 1 << 33 else datetime.fromtimestamp(0, UTC)
    time = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {**event("found", version, reason="pushed before there was a history"), "time": time, "by": None}


def _lines(path: Path) -> list[Event]:
    return list(_parsed(path))


def _parsed(path: Path) -> Iterator[Event]:
    """The events of a file; a line that is torn, or is no event, is passed over."""
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and _KEYS <= set(entry):
                    yield entry


def _user() -> str:
    with contextlib.suppress(OSError, KeyError):
        return getpass.getuser()
    return str(os.getuid())

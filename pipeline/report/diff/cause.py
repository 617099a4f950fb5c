"""What may have caused a difference, said no more surely than the records allow.

A run changes many things at once or one. Where one kind of thing changed, it is named; where several did, they are listed
with how large each change is, and no more is claimed: only a run that changes one of them can tell. What was not recorded
is not taken for unchanged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.diff.metrics import BEYOND

KINDS = ("data", "schema", "code", "libraries", "parameters", "machine")
_LISTED = 3
_LONGEST = 40
JUDGING = ("evaluation", "checks", "serving", "push", "lite")
"""Sections of a task that no model is made from."""


def changes(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each kind of thing: `{"kind", "changed", "said", "makes"}`; `changed` is None where it was not recorded, `makes` says
    whether a model can come out otherwise for it.

    Args:
      found: a comparison, see `pipeline.report.diff.compare`.
    """
    data, schema = found["data"], found["schema"]
    parts = [
        ("data", None if data["same"] is None else not data["same"], _data(data)),
        ("schema", None if schema["same"] is None else not schema["same"], _schema(schema)),
    ]
    for kind in KINDS[2:]:
        listed = found[kind]["changes"]
        parts.append((kind, None if listed is None else bool(listed), _listed(listed)))
    makers = [each for each in found["parameters"]["changes"] if each["name"].split(".")[0] not in JUDGING]
    judging = not makers
    parts = [
        (kind, changed, _listed(makers) if kind == "parameters" and makers else said) for kind, changed, said in parts
    ]
    return [
        {
            "kind": kind,
            "changed": changed,
            "said": f"{said}, which no model is made from" if changed and kind == "parameters" and judging else said,
            "makes": not (kind == "parameters" and judging),
        }
        for kind, changed, said in parts
    ]


def cause(found: Mapping[str, Any], changed: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences on the likely cause, the most important first."""
    moved = [each for each in changed if each["changed"]]
    unknown = [each["kind"] for each in changed if each["changed"] is None]
    same = not any(each["verdict"] in (*BEYOND, "unknown") for each in found["metrics"]["metrics"])
    equal = all(each["verdict"] == "equal" for each in found["metrics"]["metrics"])
    told = [_moved(moved, unknown)]
    if unknown:
        told.append(f"Whether {_and(unknown)} changed was not recorded by both runs, or can't be compared.")
    if found["metrics"]["same_model"]:
        told.append("Both runs evaluated one and the same model, as B took its training from the cache.")
    told += _effect(found, moved, unknown, equal=equal, same=same)
    told += _parts(found)
    if len(moved) > 1 and not equal:
        told.append(
            f"To tell them apart, run once more with only one of them changed: {_and([each['kind'] for each in moved])}."
        )
    return told


def _moved(moved: Sequence[Mapping[str, Any]], unknown: Sequence[str]) -> str:
    if not moved:
        return "Nothing that is recorded changed."
    if len(moved) == 1:
        only = "The one recorded change is in the" if unknown else "Only the"
        verb = "" if unknown else " changed"
        return f"{only} {moved[0]['kind']}{verb}: {moved[0]['said']}."
    listed = "; ".join(f"{each['kind']} ({each['said']})" for each in moved)
    return f"Several things changed, and these runs can't tell their effects apart: {listed}."


def _effect(
    found: Mapping[str, Any], moved: Sequence[Any], unknown: Sequence[str], *, equal: bool, same: bool
) -> list[str]:
    """What that means for the metrics."""
    metrics = found["metrics"]["metrics"]
    if not any(each["difference"] is not None for each in metrics):
        missing = [side for side in ("a", "b") if all(each[side] is None for each in metrics)]
        who = _and([f"run {found[side]['run_id']}" for side in missing]) or "one of them"
        return [f"The metrics can't be compared, as {who} has none."]
    if equal:
        return ["All metrics are equal."]
    beyond = [each for each in metrics if each["verdict"] in BEYOND]
    if same:
        chance = (
            "No metric differs by more than its interval: what changed, if anything, has no effect that can be seen."
        )
        return [
            chance
            if moved or unknown
            else "The metrics differ, but by no more than their intervals: that is as randomness explains."
        ]
    if not beyond:
        return ["How far the metrics may differ by chance is not known, as intervals are missing."]
    named = _and([f"{each['metric']} ({each['verdict']})" for each in beyond])
    if not unknown and not any(each["makes"] for each in moved):
        return [
            f"Yet {named} differ by more than the intervals: something that is not recorded changed, such as a library beside "
            "the listed ones, or the number of threads."
        ]
    if len(moved) == 1 and not unknown:
        return [f"It is the likely cause of the differences beyond chance: {named}."]
    return [f"Beyond chance: {named}."]


def _parts(found: Mapping[str, Any]) -> list[str]:
    """How much of a change is the rows that were measured on, and how much the model, where both are known."""
    told = []
    for each in found["metrics"]["metrics"][:_LISTED]:
        if each["on_b"] is None or each["a"] is None:
            continue
        rows, model = each["on_b"] - each["a"], each["b"] - each["on_b"]
        told.append(
            f"{each['metric']}: {rows:+.4f} as A's model meets B's rows, {model:+.4f} as B's model takes its place"
        )
    return [f"Split in two, since A's model was measured on B's rows: {'; '.join(told)}."] if told else []


def _data(data: Mapping[str, Any]) -> str:
    if data["same"]:
        return "the same rows"
    counts = data["files"].get("counts", {})
    told = [
        f"{counts[key]} {'file' if counts[key] == 1 else 'files'} {key}"
        for key in ("added", "removed", "changed")
        if counts.get(key)
    ]
    rows = next((row for row in data["rows"] if row["name"] == "in"), None)
    if rows and rows["difference"] is not None:
        told.append(f"{rows['difference']:+,} rows" if rows["difference"] else "as many rows")
    if data["compared"]:
        told.append(f"{data['apart']} of {data['compared']} columns differ by more than chance")
    if data["columns"]:
        told.append(f"{len(data['columns'])} columns in one only")
    return ", ".join(told) or "not compared"


def _schema(schema: Mapping[str, Any]) -> str:
    return (
        _listed([f"{each['column'] or 'the schema'} {each['what']}" for each in schema["changes"]])
        if schema["known"]
        else ""
    )


def _listed(changes: Sequence[Any] | None) -> str:
    if not changes:
        return "" if changes is None else "the same"
    texts = [change if isinstance(change, str) else _change(change) for change in changes]
    more = f", and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more


def _change(change: Mapping[str, Any]) -> str:
    """From what to what; of long texts only from where they begin to differ."""
    a, b = ("not set" if change[side] is None else str(change[side]) for side in ("a", "b"))
    alike = next((at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), 0)
    start = max(0, alike - _LONGEST // 4) if max(len(a), len(b)) > _LONGEST else 0
    return f"{change['name']} {_short(a, start)} → {_short(b, start)}"


def _short(text: str, start: int) -> str:
    return ("…" if start else "") + text[start : start + _LONGEST] + ("…" if len(text) > start + _LONGEST else "")


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""

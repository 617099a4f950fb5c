"""Where every row went, and whether the splits are apart."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.sections.data.facts import Facts
from pipeline.report.values import from_home, share, text
from pipeline.splits import FolderSplit, HashSplit, SpanSplit, Split, TimeSplit

_FILES = 20
_AUDIT = {
    "entity_overlap": "No entity in two splits",
    "split_overlap": "No row in two splits",
    "time_overlap": "Each split later than the one before",
    "split_drift": "Splits with the same kind of rows",
    "empty_split": "No split without rows",
}
_STATES = ("fail", "warn", "ignore")


def accounting(facts: Facts) -> dict[str, Any] | None:
    """Rows in, of each split and quarantined, and the files that they came from; None without an account.

    The files with most rows in quarantine come first, twenty of them at most.
    """
    account = facts.account
    if not account:
        return None
    files = sorted(account["files"], key=lambda file: -int(file["quarantined"]))
    spans = {file["span"]: text(file.get("span_name", file["span"])) for file in account["files"]}
    dated = len(spans) > 1 or bool(account.get("span"))
    return {
        "read": account["rows"],
        "splits": [
            {"split": split, "rows": rows, "share": share(rows, account["rows"])}
            for split, rows in account["splits"].items()
        ],
        "quarantined": account["quarantined"],
        "quarantined_share": share(account["quarantined"], account["rows"]),
        "allowed_share": account.get("max_bad_fraction"),
        "adds_up": account["rows"] == sum(account["splits"].values()) + account["quarantined"],
        "spans": [spans[span] for span in sorted(spans)] if dated else [],
        "gaps": [text(gap) for gap in account.get("gaps", ())],
        "window": account.get("window"),
        "files": [
            {"file": text(from_home(file["file"])), "rows": file["rows"], "quarantined": file["quarantined"]}
            for file in files[:_FILES]
        ],
        "file_count": len(files),
        "new_columns": [text(entry["column"]) for entry in account.get("new_columns", ())],
        "missing_columns": [text(entry["column"]) for entry in account.get("missing_columns", ())],
    }


def audit(facts: Facts, found: Sequence[Mapping[str, Any]] | None) -> dict[str, Any] | None:
    """How rows are split, and what the checks say about it; None without a task.

    Args:
      facts: of the run.
      found: the findings; None where no check ran.
    """
    if facts.run.task is None:
        return None
    split = facts.run.task.split
    return {
        "said": described(split),
        "spec": repr(split),
        "checks": [
            {"check": check, "title": title, **_state(check, split, facts, found)} for check, title in _AUDIT.items()
        ],
    }


def described(split: Split) -> str:
    """How rows are split, in a sentence."""
    if isinstance(split, HashSplit):
        by = f"of {', '.join(split.by)}: all rows of one are in the same split" if split.by else "of the whole row"
        parts = ", ".join(f"{getattr(split, name)} to {name}" for name in split.names)
        return f"By a hash {by}. Of {sum(getattr(split, n) for n in split.names)} parts: {parts}."
    if isinstance(split, TimeSplit):
        borders = [split.eval_from, split.test_from]
        later = [f"{name} from {at}" for name, at in zip(split.names[1:], borders, strict=False)]
        return f"By the time in {split.column}: train, then {', '.join(later)}."
    if isinstance(split, SpanSplit):
        test = f"the newest {split.test} are test, before them " if split.test else ""
        return f"By span: {test}{split.eval} to eval, the earlier ones train."
    return f"By folder: {', '.join(f'{folder} is {name}' for name, folder in split.folders.items())}."


def _state(check: str, split: Split, facts: Facts, found: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """`state`: fail, warn, ignore, ok or off; `why`, for people."""
    if found is None:
        return {"state": "off", "why": "The checks have not run."}
    unfit = _unfit(check, split)
    if unfit:
        return {"state": "off", "why": unfit}
    hits = [entry for entry in found if entry["check"] == check]
    if not hits:
        fraction = facts.account.get("hash_fraction", 1.0)
        sampled = check.endswith("_overlap") and check != "time_overlap" and fraction < 1
        return {"state": "ok", "why": f"In a sample of {fraction:.0%} of the rows." if sampled else ""}
    worst = min((hit["severity"] for hit in hits), key=_STATES.index)
    told = [hit["received"] or "withheld: the column is sensitive" for hit in hits]
    return {"state": worst, "why": "; ".join(itertools.chain(told[:3], ["…"] if len(told) > 3 else []))}


def _unfit(check: str, split: Split) -> str:
    """Why a check says nothing about a kind of split; empty where it does."""
    if check == "entity_overlap" and not (isinstance(split, HashSplit) and split.by):
        return "The split is not by an entity's key."
    if check == "time_overlap" and not isinstance(split, TimeSplit):
        return "The split is not by time."
    if check == "split_drift" and not isinstance(split, HashSplit | FolderSplit):
        return "Splits by time or by span may differ."
    return ""

"""What a check says: a finding for people to act on, a measurement for the record."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.checks import DEFAULT_LEVELS, Checks

FILE = "findings.json"
DAY = "YYYY-MM-DD"
"""Stands for a day in a finding's next step; the gate fills in one that is near."""
_LONGEST = 400


@dataclass(frozen=True)
class Finding:
    """Something wrong or odd about the data.

    Attributes:
      check: its name, see `pipeline.checks.DEFAULT_LEVELS`.
      message: a sentence: what was expected, what was received, in how many rows, examples.
      feature: the column, or None for whole rows.
      split: where, or None for all.
      rows: how many rows are concerned; 0 where that has no meaning.
      total: of how many.
      examples: up to three values or places.
      expected: the rule.
      received: what was seen in its place.
      next: what to do where the data is right all the same.
      severity: "fail", "warn" or "ignore".
      waiver: reason and last day of the waiver that lets it through, or None.
    """

    check: str
    message: str
    feature: str | None = None
    split: str | None = None
    rows: int = 0
    total: int = 0
    examples: tuple[str, ...] = ()
    expected: str = ""
    received: str = ""
    next: str = ""
    severity: str = "fail"
    waiver: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Measured:
    """A distance that was taken, whether or not it was too large."""

    check: str
    feature: str
    split: str
    distance: float
    threshold: float
    noise: float
    measure: str
    reference: str


@dataclass(frozen=True)
class Report:
    """What all checks together say."""

    findings: tuple[Finding, ...] = ()
    measured: tuple[Measured, ...] = ()

    def __add__(self, other: "Report") -> "Report":
        return Report(self.findings + other.findings, self.measured + other.measured)


def finding(
    check: str,
    expected: str,
    received: str,
    *,
    feature: str | None = None,
    split: str | None = None,
    rows: int = 0,
    total: int = 0,
    examples: Sequence[str] = (),
    next: str = "",
) -> Finding:
    """A finding, with its sentence put together: `fare (split 'train', 10,036 rows): expected …. Received: …`.

    Args:
      check: its name.
      expected: the rule, as a phrase.
      received: what was seen, as a phrase; cut where it is long.
      feature: the column, or None for whole rows.
      split: where, or None for all.
      rows: how many rows are concerned; 0 where that has no meaning.
      total: of how many.
      examples: values or places; three are kept.
      next: what to do where the data is right all the same; "" is a waiver.
    """
    place = ", ".join(
        part
        for part in (
            f"split {split!r}" if split else "",
            f"{rows:,} of {total:,} rows" if rows and total else f"{total:,} rows" if total else "",
        )
        if part
    )
    shown = tuple(cut(str(example), 80) for example in examples[:3])
    subject = (feature or "the data") + (f" ({place})" if place else "")
    received = cut(received, _LONGEST)
    tail = f", e.g. {', '.join(shown)}" if shown else ""
    return Finding(
        check=check,
        message=f"{subject}: expected {expected}. Received: {received}{tail}",
        feature=feature,
        split=split,
        rows=rows,
        total=total,
        examples=shown,
        expected=expected,
        received=received,
        next=next or waiver_snippet(check, feature),
    )


def waiver_snippet(check: str, feature: str | None) -> str:
    """What to write into the task to let a finding through for a while."""
    column = f", feature={feature!r}" if feature else ""
    return (
        f"if the data is right, in the task: checks=Checks(waivers=("
        f'Waiver("{check}"{column}, reason="…", until="{DAY}"),))'.replace("'", '"')
    )


def schema_snippet(task: str) -> str:
    """The commands that change the reviewed schema to what the data is."""
    return f"if the data is right: `millrace schema propose --task {task}`, then `millrace schema accept --task {task}`"


def graded(report: Report, checks: Checks) -> Report:
    """The report with each finding's severity as the task's settings have it, the gravest first."""
    order = list(DEFAULT_LEVELS)
    found = [replace(f, severity=checks.level(f.check, f.feature)) for f in report.findings]
    found.sort(key=lambda f: (("fail", "warn", "ignore").index(f.severity), order.index(f.check), -f.rows))
    return replace(report, findings=tuple(found))


def to_json(report: Report, references: Mapping[str, Any]) -> str:
    """The text of `findings.json`."""
    content = {
        "findings": [asdict(f) for f in report.findings],
        "measured": [asdict(m) for m in report.measured],
        "references": references,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Finding]:
    """The findings in a `findings.json`."""
    stored: Iterable[dict[str, Any]] = json.loads(text)["findings"]
    return [Finding(**{**entry, "examples": tuple(entry["examples"])}) for entry in stored]


def cut(text: str, longest: int) -> str:
    """A description may name thousands of values; the first ones tell enough."""
    return text if len(text) <= longest else f"{text[:longest]} …"

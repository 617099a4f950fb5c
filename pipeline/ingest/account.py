"""The account of all rows: every one that came in is in a split or in the quarantine, and the sum is checked."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import MillraceError

_EXAMPLES = 3
_MOST_VALUES = 1000


@dataclass
class Broken:
    """How often one rule was broken.

    Attributes:
      rule: parse, type, required, single, finite, domain, range, rule, key, split or unique.
      column: the one concerned, or None.
      message: what was expected.
      rows: quarantined for it; a row counts for the first rule that it breaks.
      examples: the first ones: file, line, value.
    """

    rule: str
    column: str | None
    message: str
    rows: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Account:
    """What became of the rows of one file, or of all.

    Attributes:
      rows: that came in, as the reader counted them.
      splits: split -> rows written.
      quarantined: rows in the quarantine.
      broken: how often each rule was broken: by rule, column and what was expected, numbers in it apart.
      values: column -> value -> rows: what was outside a domain.
      files: one entry a file: file, span, rows, quarantined, and a digest of the rows that passed, whatever their order.
      new_columns: column -> the first file with it, and values: what the schema does not know.
      missing_columns: column -> the first file without it.
      times: split -> (first, last) of the column that rows are split by.
    """

    rows: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    broken: dict[tuple[str, str | None, str], Broken] = field(default_factory=dict)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    new_columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing_columns: dict[str, str] = field(default_factory=dict)
    times: dict[str, tuple[float, float]] = field(default_factory=dict)

    def note(self, rule: str, column: str | None, message: str, rows: int, examples: Iterable[dict[str, Any]]) -> None:
        """Counts rows that broke a rule."""
        entry = self.broken.setdefault(_kind(rule, column, message), Broken(rule, column, message))
        entry.rows += rows
        entry.examples = [*entry.examples, *examples][:_EXAMPLES]

    def note_values(self, column: str, counts: Mapping[str, int]) -> None:
        """Counts values that are outside a domain; of too many different ones, only the first thousand."""
        known = self.values.setdefault(column, Counter())
        for value, count in counts.items():
            if value in known or len(known) < _MOST_VALUES:
                known[value] += count

    def note_times(self, split: str, first: float, last: float) -> None:
        """Widens the range of times of a split."""
        old = self.times.get(split, (first, last))
        self.times[split] = (min(old[0], first), max(old[1], last))

    def add(self, other: "Account") -> None:
        """Adds the account of another file."""
        self.rows += other.rows
        self.splits.update(other.splits)  # += would drop a split without rows
        self.quarantined += other.quarantined
        for entry in other.broken.values():
            self.note(entry.rule, entry.column, entry.message, entry.rows, entry.examples)
        for column, counts in other.values.items():
            self.note_values(column, counts)
        self.files += other.files
        self.new_columns = {**other.new_columns, **self.new_columns}
        self.missing_columns = {**other.missing_columns, **self.missing_columns}
        for split, (first, last) in other.times.items():
            self.note_times(split, first, last)

    def check(self) -> None:
        """Raises MillraceError where the sum is wrong, which would be a defect of ours."""
        out = sum(self.splits.values()) + self.quarantined
        if self.rows != out or self.quarantined != sum(entry.rows for entry in self.broken.values()):
            raise MillraceError(
                f"the account of rows does not add up: {self.rows:,} came in; {dict(self.splits)} and "
                f"{self.quarantined:,} in quarantine came out. This is a defect of Millrace"
            )

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Account":
        """The account that `record` gave."""
        broken = [Broken(**entry) for entry in record["rules"]]
        new = record["new_columns"]
        return cls(
            rows=record["rows"],
            splits=Counter(record["splits"]),
            quarantined=record["quarantined"],
            broken={_kind(entry.rule, entry.column, entry.message): entry for entry in broken},
            values={column: Counter(counts) for column, counts in record["values"].items()},
            files=list(record["files"]),
            new_columns={e["column"]: {"file": e["file"], "examples": e["examples"]} for e in new},
            missing_columns={entry["column"]: entry["file"] for entry in record["missing_columns"]},
            times={split: (first, last) for split, (first, last) in record["times"].items()},
        )

    def record(self) -> dict[str, Any]:
        """As in account.json."""
        broken = sorted(self.broken.values(), key=lambda entry: -entry.rows)
        return {
            "rows": self.rows,
            "splits": dict(self.splits),
            "quarantined": self.quarantined,
            "rules": [dataclasses.asdict(entry) for entry in broken],
            "values": {column: dict(counts.most_common()) for column, counts in self.values.items()},
            "files": self.files,
            "new_columns": [{"column": name, **entry} for name, entry in sorted(self.new_columns.items())],
            "missing_columns": [{"column": n, "file": file} for n, file in sorted(self.missing_columns.items())],
            "times": {split: list(times) for split, times in self.times.items()},
        }


def _kind(rule: str, column: str | None, message: str) -> tuple[str, str | None, str]:
    """What is counted together: records that are no rows are told apart by what was expected of them."""
    return rule, column, re.sub(r"\d[\d,]*", "#", message.partition(". Received")[0].partition(", received")[0])

"""Where rows come from, and how they are split."""

import csv
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataBlocked, TaskError, UsageError, hint, nearest, raise_all

_PLACEHOLDER = re.compile(r"\{[A-Z]+(:\d+)?\}")


@dataclass(frozen=True)
class Csv:
    """CSV files with a header, one encoding (UTF-8) and the same columns.

    Attributes:
      path: a file, a folder in which every file is read, or a pattern such as `days/{SPAN}/*.csv` (TFX's placeholders
        {SPAN}, {VERSION}, {YYYY}, {MM}, {DD}).
    """

    path: str

    def at(self, path: str | None) -> "Csv":
        """The same source at another path (`--data`), or itself."""
        return Csv(path) if path else self

    def files(self, span: int | None = None) -> list[Path]:
        """The files that a run reads, sorted.

        Args:
          span: of a `{SPAN}` pattern; None is the latest.

        Raises:
          UsageError: the path does not exist, can't be read, has no file in it, or holds something else than files.
        """
        path = Path(self.path)
        if any(character in self.path for character in "*?[") and "{" not in self.path:
            raise UsageError(
                f"data: {self.path}: expected no *, ? or [ in the path. Next: name the folder, or rename it"
            )
        if span is not None and "{SPAN" not in self.path:
            raise UsageError(f"data: --span {span} needs a {{SPAN}} in the path. Received: {self.path}")
        if "{" in self.path:
            return self._matches(span)
        if not path.exists():
            raise UsageError(f"data: {self.path} does not exist. Expected a CSV file or a folder of them.{_near(path)}")
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        if not found:
            raise UsageError(f"data: the folder {self.path} holds no file. Expected at least one CSV file.")
        for file in found:
            if not file.is_file() or file.name.startswith("."):
                raise UsageError(f"data: {file}: expected CSV files only in the folder. Next: move it elsewhere")
            if not os.access(file, os.R_OK):
                raise UsageError(f"data: {file} can't be read by this user. Next: chmod +r {file}")
        return found

    def _matches(self, span: int | None) -> list[Path]:
        """The files of a span, the latest or the one given; of a pattern without `{SPAN}`, all."""
        base, pattern = self.layout()
        files = sorted(Path(base).glob(_PLACEHOLDER.sub("*", pattern)))
        expression = re.compile(_as_expression(pattern))
        spans: dict[int, list[Path]] = {}
        for file in files:
            match = expression.fullmatch(str(file.relative_to(base)))
            if match:
                spans.setdefault(int(match.groupdict().get("span") or 0), []).append(file)
        chosen = max(spans, default=None) if span is None else span
        if chosen not in spans:
            known = ", ".join(map(str, sorted(spans))) or "none"
            raise UsageError(f"data: no file matches {self.path}, span {chosen}. Spans found: {known}")
        return spans[chosen]

    def layout(self) -> tuple[str, str]:
        """The folder and, in it, the pattern that TFX's ExampleGen reads."""
        path = Path(self.path).absolute()
        if "{" in self.path:
            fixed = next(parent for parent in reversed(path.parents) if _is_pattern(path.relative_to(parent).parts[0]))
            return str(fixed), str(path.relative_to(fixed))
        return (str(path.parent), path.name) if path.is_file() else (str(path), "*")

    def check(self, required: Mapping[str, str], span: int | None = None) -> None:
        """Reads the header and the first row of each file, before anything heavy starts.

        Args:
          required: columns that the task reads, each with what it is there ("the label", "a feature").
          span: see `files`.

        Raises:
          UsageError: see `files`.
          DataBlocked: an empty file, a header without rows, a broken header, a column that is missing.
        """
        problems: list[str] = []
        headers: dict[Path, list[str]] = {}
        for file in self.files(span):
            header, has_rows = _head(file)
            headers[file] = header
            if not header:
                problems.append(f"{file}: the file is empty. Expected a header and rows.")
                continue
            if not has_rows:
                problems.append(f"{file}: only a header, no rows.")
            if "" in header:
                problems.append(f"{file}: column {header.index('') + 1} of the header has no name.")
            repeated = sorted({name for name in header if header.count(name) > 1 and name})
            if repeated:
                problems.append(f"{file}: the header names {', '.join(repeated)} more than once.")
            problems += [
                f"{file}: column {name!r}, {role}, is missing.{hint(name, sorted(set(header) - set(required)))}"
                for name, role in required.items()
                if name not in header
            ]
        named = [file for file, header in headers.items() if header]
        odd = next((file for file in named if headers[file] != headers[named[0]]), None)
        if odd:
            problems.append(f"{odd}: its header differs from that of {named[0]}.")
        raise_all(DataBlocked, "The data can't be used as it is:", problems)


@dataclass(frozen=True)
class HashSplit:
    """Rows go to a split by a hash of their content: stable from run to run, and when rows are appended.

    Attributes:
      train: parts for training.
      eval: parts for evaluation; train=2, eval=1 gives two thirds and one third.
    """

    train: int = 2
    eval: int = 1

    def __post_init__(self) -> None:
        if self.train <= 0 or self.eval <= 0:
            raise TaskError(
                f"split: expected whole parts of at least 1. Received: train={self.train}, eval={self.eval}"
            )


def bundled_taxi_trips() -> str:
    """Folder of the 15,002 Chicago taxi trips inside the tfx wheel; tfx itself is not imported."""
    spec = importlib.util.find_spec("tfx")
    if spec is None or spec.origin is None:
        raise UsageError("The bundled taxi trips are inside the tfx package, which is not installed. Next: make env")
    return str(Path(spec.origin).parent / "examples" / "chicago_taxi_pipeline" / "data" / "simple")


def _as_expression(pattern: str) -> str:
    """A regular expression for the files of a pattern; TFX's `{SPAN}` and the like are digits, `*` is within a folder."""
    parts = re.split(r"(\{[A-Z]+(?::\d+)?\}|\*)", pattern)
    special = {"*": "[^/]*", "{": r"\d+"}
    named = [r"(?P<span>\d+)" if p.startswith("{SPAN") else special.get(p[:1], "") for p in parts[1::2]]
    return "".join(re.escape(plain) + part for plain, part in zip(parts[::2], [*named, ""], strict=True))


def _is_pattern(part: str) -> bool:
    return bool(_PLACEHOLDER.search(part))


def _head(file: Path) -> tuple[list[str], bool]:
    """The header's names (empty when there is none) and whether a row follows."""
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            if stream.read(1) == "\ufeff":
                raise DataBlocked(f"{file}: starts with a byte order mark. Next: save it as UTF-8 without BOM")
            stream.seek(0)
            rows = csv.reader(stream)
            header = next(rows, [])
            return header, any(rows)
    except UnicodeDecodeError as error:
        raise DataBlocked(
            f"{file}: not UTF-8: byte {error.start} of the first block. Next: convert it with iconv."
        ) from error
    except csv.Error as error:
        raise DataBlocked(f"{file}: not a CSV file: {error}.") from error


def _near(path: Path) -> str:
    folder = path.parent
    return (
        nearest(path.name, [p.name for p in folder.iterdir()][:50])
        if folder.is_dir() and os.access(folder, os.R_OK)
        else ""
    )

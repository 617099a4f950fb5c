"""Which files a run reads, and a look at their first rows: what can be known in a second, before anything heavy starts."""

import datetime
import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pipeline.errors import DataBlocked, MillraceError, UsageError, hint, nearest, raise_all
from pipeline.ingest import files, read
from pipeline.sources import PLACEHOLDER, BigQuery, Source, visible
from pipeline.splits import FolderSplit, SpanSplit, Split

_EPOCH = datetime.date(1970, 1, 1)
_LOOKED_AT = 100


def span_number(text: str, source: Source) -> int:
    """The span that `--span` names: a number, or a date such as 2026-11-20, whose number counts days since 1970.

    Raises:
      UsageError: it is none, or the source has no spans.
    """
    if source.spans is None:
        raise UsageError(f"data: --span and --window need {{SPAN}} or a date in the path. Received: {source.path}")
    try:
        if re.fullmatch(r"\d+", text):
            return int(text)
        return (datetime.date.fromisoformat(text) - _EPOCH).days
    except ValueError as error:
        raise UsageError(f"--span: expected a number, or a date such as 2026-11-20. Received: {text}") from error


def span_name(span: int, source: Source) -> str:
    """A span as people call it: its number, or its date."""
    return str(_EPOCH + datetime.timedelta(days=span)) if source.spans == "date" else str(span)


def patterns(source: Source, split: Split) -> tuple[str, dict[str, str]]:
    """The folder, and in it the pattern of each input split, as TFX's ExampleGen takes them."""
    base, pattern = source.layout()
    if isinstance(split, FolderSplit):
        return base, {name: f"{_in_folder(pattern, folder)}" for name, folder in split.folders.items()}
    return base, {"all": pattern}


def _in_folder(pattern: str, folder: str) -> str:
    """`*` in the folder; of a pattern, the folder comes before its last part: `{SPAN}/*.csv` to `{SPAN}/train/*.csv`."""
    head, _, last = pattern.rpartition("/")
    return "/".join(part for part in (head, folder, last) if part)


def selected(source: Source, split: Split, span: int | None = None, window: int = 1) -> dict[int, list[str]]:
    """The files of each span of the window, sorted, newest span last; all under span 0 where there are none.

    Args:
      source: with the path of the run.
      split: with folders, the files of each.
      span: the newest; None is the newest that is there.
      window: how many spans.

    Raises:
      UsageError: no file matches, or one can't be read.
    """
    if window > 1 or span is not None:
        span_number("0", source)
    base, found = patterns(source, split)
    if isinstance(split, FolderSplit) and not source.remote:
        _check_folders(base, found, split)
    spans = _spans(base, found.values(), source)
    newest = max(spans, default=None) if span is None else span
    if newest is None or newest not in spans:
        known = ", ".join(span_name(number, source) for number in sorted(spans)[-10:])
        wanted = f", span {span_name(newest, source)}" if newest is not None else ""
        raise UsageError(f"data: no file matches {source.path}{wanted}. Spans found: {known or 'none'}")
    chosen = [number for number in sorted(spans) if newest - window < number <= newest]
    result = {number: sorted(spans[number][max(spans[number])]) for number in chosen}
    for path in (path for paths in result.values() for path in paths):
        if not source.remote and not os.access(path, os.R_OK):
            raise UsageError(f"data: {path} can't be read by this user. Next: chmod +r {path}")
    return result


def _check_folders(base: str, found: Mapping[str, str], split: FolderSplit) -> None:
    """Raises UsageError where the data has no folder for a split; in a folder for each span, a pattern finds that out."""
    beside = [folder for name, folder in split.folders.items() if found[name].startswith(f"{folder}/")]
    missing = [folder for folder in beside if not os.path.isdir(os.path.join(base, folder))]
    if missing and os.path.isdir(base):
        raise UsageError(
            f"data: {base} has no folder {' and no folder '.join(missing)}. The task's rows are split by folder: "
            f"expected {', '.join(split.folders.values())} in it. Next: put the files there, or give the folder above"
        )


def gaps(source: Source, base: str, wanted: Iterable[str], newest: int, window: int) -> list[int]:
    """The spans of a window of which there is no file, though there are older ones: a window may be longer than history.

    Args:
      source: with the path of the run.
      base: the folder that patterns start from.
      wanted: patterns, with placeholders.
      newest: the last span of the window.
      window: how many spans.
    """
    known = _spans(base, wanted, source)
    first = min(known, default=newest)
    return [number for number in range(newest - window + 1, newest) if number > first and number not in known]


def _spans(base: str, wanted: Iterable[str], source: Source) -> dict[int, dict[int, list[str]]]:
    """Span -> version -> files."""
    spans: dict[int, dict[int, list[str]]] = {}
    for pattern in wanted:
        for path, number, version in _matches(base, pattern, source):
            spans.setdefault(number, {}).setdefault(version, []).append(path)
    return spans


def _matches(base: str, pattern: str, source: Source) -> Iterator[tuple[str, int, int]]:
    """Path, span and version of each file of a pattern."""
    folder = base.rstrip("/")
    whole = f"{folder}/{pattern}"
    if not source.remote and not os.path.exists(base):
        raise UsageError(f"data: {base} does not exist. Expected {_expected(source)}.{_near(Path(base))}")
    expression = re.compile(_as_expression(pattern))
    wanted = PLACEHOLDER.sub("*", whole) if source.spans else whole
    for path in () if source.remote else visible(sorted(glob.glob(wanted))):
        if not os.path.isfile(path):
            raise UsageError(f"data: {path}: expected files only. Next: move it elsewhere, or give a pattern")
    for path in visible(files.list_files(wanted)):
        match = expression.fullmatch(path[len(folder) + 1 :]) if source.spans else None
        if source.spans is None:
            yield path, 0, 0
        elif match:
            parts = match.groupdict()
            yield path, _span_of(parts), int(parts.get("VERSION") or 0)


def _span_of(parts: Mapping[str, str | None]) -> int:
    if parts.get("SPAN"):
        return int(str(parts["SPAN"]))
    try:
        day = datetime.date(*(int(str(parts[name])) for name in ("YYYY", "MM", "DD")))
    except ValueError as error:
        raise UsageError(f"data: no such date: {'-'.join(map(str, parts.values()))}") from error
    return (day - _EPOCH).days


def _as_expression(pattern: str) -> str:
    """A regular expression for the files of a pattern; a placeholder is digits, `*` and `?` are within a folder."""
    out = []
    at = 0
    for match in PLACEHOLDER.finditer(pattern):
        out.append(_escaped(pattern[at : match.start()]))
        digits = {"YYYY": r"\d{4}", "MM": r"\d{2}", "DD": r"\d{2}"}.get(match[3] or "", r"\d+")
        width = rf"\d{{{match[2]}}}" if match[2] else digits
        out.append(f"(?P<{match[1] or match[3]}>{width})")
        at = match.end()
    return "".join(out) + _escaped(pattern[at:])


def _escaped(text: str) -> str:
    return re.escape(text).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _expected(source: Source) -> str:
    return f"a {type(source).__name__} file, a folder of them, or a pattern"


def _near(path: Path) -> str:
    folder = path.parent
    readable = os.path.isdir(folder) and os.access(folder, os.R_OK)
    return nearest(path.name, [p.name for p in folder.iterdir()][:50]) if readable else ""


def check(source: Source, split: Split, needed: Mapping[str, str], span: int | None = None, window: int = 1) -> None:
    """Reads the start of each file, of the first hundred.

    Args:
      source: with the path of the run.
      split: how rows are divided.
      needed: columns that the task reads, each with what it is there ("the label", "a feature").
      span: see `selected`.
      window: see `selected`.

    Raises:
      UsageError: see `selected`; a window that is too short for the split.
      DataBlocked: a file without rows, a broken one, a column that is missing.
    """
    if isinstance(split, SpanSplit) and window <= split.eval + split.test:
        raise UsageError(
            f"--window: the split takes {split.eval + split.test} spans for evaluation. Expected a window of more. "
            f"Received: --window {window}"
        )
    if isinstance(source, BigQuery):
        return
    problems: list[str] = []
    paths = [path for group in selected(source, split, span, window).values() for path in group]
    for path in paths[:_LOOKED_AT]:
        try:
            names, rows = read.names(path, source)
        except UsageError:
            raise
        except MillraceError as error:
            problems.append(str(error))
            continue
        if not rows:
            problems.append(f"{path}: no rows. Expected at least one.")
        elif not isinstance(source, read.KEYED):
            problems += [
                f"{path}: column {name!r}, {role}, is missing.{_guess(name, names, needed)}"
                for name, role in needed.items()
                if name not in names
            ]
    raise_all(DataBlocked, "The data can't be used as it is:", problems)


def _guess(name: str, names: list[str], needed: Mapping[str, str]) -> str:
    """What may have happened to a column: another name, or another delimiter."""
    if len(names) == 1 and len(needed) > 1:
        for delimiter in ";\t|,":
            if name in names[0].split(delimiter):
                return (
                    f" The header looks as if the delimiter were {delimiter!r}. Next: Csv(…, delimiter={delimiter!r})"
                )
    return hint(name, sorted(set(names) - set(needed)))

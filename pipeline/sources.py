"""Where rows come from: the settings of each kind of source. Reading them is in `pipeline/ingest`."""

import dataclasses
import importlib.util
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from pipeline.errors import TaskError, UsageError

PLACEHOLDER = re.compile(r"\{(SPAN|VERSION)(?::(\d+))?\}|\{(YYYY|MM|DD)\}")
"""TFX's placeholders: {SPAN}, {SPAN:3} (digits), {VERSION}, {YYYY}, {MM}, {DD}."""
_GLOB = re.compile(r"[*?]")


@dataclass(frozen=True)
class Source:
    """Files of one format.

    Attributes:
      path: a file; a folder in which every file is read, but for names that start with `.` or `_`; a pattern with `*`
        or `?`; or a pattern with TFX's placeholders, such as `days/{SPAN}/*.csv` or `{YYYY}-{MM}-{DD}/trips.csv`.
        Local, `s3://bucket/…` or `gs://bucket/…`.
    """

    path: str
    suffixes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not self.path:
            raise TaskError(f"{type(self).__name__}: expected a path. Received: path=''")
        names = [match.group(1) or match.group(3) for match in PLACEHOLDER.finditer(self.path)]
        if len(names) != len(set(names)):
            raise TaskError(f"source: expected each placeholder once. Received: path={self.path!r}")
        if re.sub(PLACEHOLDER, "", self.path).count("{"):
            raise TaskError(
                f"source: expected {{SPAN}}, {{VERSION}} or {{YYYY}}, {{MM}}, {{DD}}. Received: path={self.path!r}"
            )
        dates = {"YYYY", "MM", "DD"} & set(names)
        if dates and (len(dates) < 3 or "SPAN" in names):
            raise TaskError(
                f"source: expected {{YYYY}}, {{MM}} and {{DD}} together, without {{SPAN}}. Received: path={self.path!r}"
            )
        if "VERSION" in names and not dates and "SPAN" not in names:
            raise TaskError(f"source: {{VERSION}} needs {{SPAN}} or a date. Received: path={self.path!r}")

    def at(self, path: str | None) -> "Source":
        """The same source at another path (`--data`), or itself.

        Its format is that which the suffix of the path names, or of the first file in a local folder.
        """
        if not path:
            return self
        named = path
        if "://" not in path and os.path.isdir(path):
            named = next(iter(visible(sorted(os.listdir(path)))), path)
        suffix = PurePosixPath(named.removesuffix(".gz")).suffix.lower()
        if suffix == ".tsv":
            return Csv(path, delimiter="\t")
        for kind in (Csv, JsonLines, Parquet, Avro, TfRecord):
            if suffix in kind.suffixes and not isinstance(self, kind):
                return kind(path)
        return dataclasses.replace(self, path=path)

    @property
    def spans(self) -> Literal["span", "date"] | None:
        """What the path counts by: `{SPAN}`, a date, or neither."""
        if "{SPAN" in self.path:
            return "span"
        return "date" if "{YYYY}" in self.path else None

    @property
    def remote(self) -> bool:
        """Whether the path is in an object store."""
        return "://" in self.path

    def layout(self) -> tuple[str, str]:
        """The folder and, in it, the pattern that TFX's ExampleGen reads."""
        path = self.path if self.remote else str(Path(self.path).absolute())
        parts = path.split("/")
        fixed = next((i for i, part in enumerate(parts) if PLACEHOLDER.search(part) or _GLOB.search(part)), None)
        if fixed is not None:
            return "/".join(parts[:fixed]) or "/", "/".join(parts[fixed:])
        if self.remote:
            last = parts[-1]
            return (path.rstrip("/"), "*") if "." not in last else ("/".join(parts[:-1]), last)
        return (str(Path(path).parent), Path(path).name) if os.path.isfile(path) else (path, "*")


@dataclass(frozen=True)
class Csv(Source):
    """Text with a delimiter; a first line with the columns' names. `.gz` is decompressed.

    Attributes:
      delimiter: between values: one character; `"\\t"` for TSV.
      quote: around values that hold delimiters or newlines; doubled inside them. None where there is none.
      escape: before a character that is to be taken as it is, or None.
      encoding: any that Python knows. A byte order mark is passed over.
      header: the columns' names where the file has no line with them.
      missing: texts that stand for a missing value.
      decimal: the decimal point.
      longest_value: bytes; a row with a longer value is quarantined.
    """

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    encoding: str = "utf-8"
    header: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ("",)
    decimal: str = "."
    longest_value: int = 1 << 20
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("delimiter", "quote", "escape", "decimal"):
            value = getattr(self, name)
            if value is not None and (len(value) != 1 or not value.isascii()):
                raise TaskError(f"Csv: {name}: expected one ASCII character. Received: {name}={value!r}")
        if self.header is not None and (len(set(self.header)) != len(self.header) or not all(self.header)):
            raise TaskError(f"Csv: header: expected different, non-empty names. Received: header={self.header}")


@dataclass(frozen=True)
class JsonLines(Source):
    """One JSON object a line, UTF-8. `.gz` is decompressed."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Parquet(Source):
    """Apache Parquet: the fastest to read."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")


@dataclass(frozen=True)
class Avro(Source):
    """Avro object container files."""

    suffixes: ClassVar[tuple[str, ...]] = (".avro",)


@dataclass(frozen=True)
class TfRecord(Source):
    """TFRecord files of serialised tf.Examples, gzipped or not."""

    suffixes: ClassVar[tuple[str, ...]] = (".tfrecord", ".tfrecords", ".tfr")


@dataclass(frozen=True)
class BigQuery(Source):
    """Rows of a query, through TFX's own BigQueryExampleGen: no quarantine, as BigQuery's columns have types.

    Attributes:
      path: the query, standard SQL; `@span_begin_timestamp` and the like are TFX's.
    """

    def __post_init__(self) -> None:
        if not self.path.strip():
            raise TaskError("BigQuery: expected a query. Received: path=''")

    def at(self, path: str | None) -> Source:
        return Csv(path).at(path) if path else self

    @property
    def spans(self) -> Literal["span", "date"] | None:
        return "date" if "@span_" in self.path else None

    @property
    def remote(self) -> bool:
        return True


def bundled_taxi_trips() -> str:
    """Folder of the 15,002 Chicago taxi trips inside the tfx wheel; tfx itself is not imported."""
    spec = importlib.util.find_spec("tfx")
    if spec is None or spec.origin is None:
        raise UsageError("The bundled taxi trips are inside the tfx package, which is not installed. Next: make env")
    return str(Path(spec.origin).parent / "examples" / "chicago_taxi_pipeline" / "data" / "simple")


def settings(source: Source) -> dict[str, Any]:
    """The source as plain values, for a component's parameters."""
    return {"kind": type(source).__name__, **dataclasses.asdict(source)}


def of_settings(values: dict[str, Any]) -> Source:
    """The source that `settings` described."""
    kinds = {kind.__name__: kind for kind in (Csv, JsonLines, Parquet, Avro, TfRecord, BigQuery)}
    fields: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if name != "kind"
    }
    return kinds[values["kind"]](**fields)


def visible(paths: Iterable[str]) -> list[str]:
    """Without those whose name starts with `.` or `_`, as Hadoop and Spark do: `_SUCCESS` holds no rows."""
    return [path for path in paths if not path.rsplit("/", 1)[-1].startswith((".", "_"))]

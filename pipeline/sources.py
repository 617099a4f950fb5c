"""Where rows come from: the settings of each kind of source. Reading them is in `pipeline/ingest`."""

import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import os
import re
import tempfile
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


_MADE = 946684800
"""The start of the year 2000, in UTC: the time of the last change of files that were made."""


@dataclass(frozen=True)
class Prepared(Source):
    """Parquet that is made when a run first needs it, in the cache folder of the user; or other files, by `--data`.

    They are in `$XDG_CACHE_HOME/millrace/<name>-<digest>`, or in ~/.cache where that is not set. The digest is of the
    code that makes them: when that changes, they are made anew.

    Attributes:
      path: `package.module:function`, which writes the files into the folder that it is given.
      name: of the data; the start of the folder's name.
    """

    name: str = "data"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.]+:\w+", self.path):
            raise TaskError(f"Prepared: expected package.module:function. Received: path={self.path!r}")

    def at(self, path: str | None) -> Source:
        return Parquet(path).at(path) if path else Parquet(str(self._made()))

    def _made(self) -> Path:
        """The folder, with the files in it.

        A folder is renamed to its name when it is whole: one that was cut off, or is made twice at a time, does no harm.
        """
        module, _, function = self.path.partition(":")
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace"
        folder = caches / f"{self.name}-{_digest(module)}"
        if folder.is_dir():
            return folder
        try:
            caches.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=caches) as unfinished:
                made = Path(unfinished) / "made"
                made.mkdir()
                getattr(importlib.import_module(module), function)(made)
                for file in made.rglob("*"):
                    # The same in every container, which makes them for itself: a cache key holds the time.
                    os.utime(file, (_MADE, _MADE))
                with contextlib.suppress(FileExistsError):
                    _rename(made, folder)
        except OSError as error:
            raise UsageError(
                f"data: the files of {self.name} can't be written to {caches}: {error}. "
                "Next: free or unlock it, set XDG_CACHE_HOME to another folder, or add --data with files of your own"
            ) from error
        return folder


def _digest(module: str) -> str:
    """Of the code of a module and of those beside it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise TaskError(f"Prepared: there is no module {module}. Next: correct the task's source")
    digest = hashlib.sha256()
    for file in sorted(Path(spec.origin).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _rename(made: Path, folder: Path) -> None:
    """Renames a folder; FileExistsError where another process was first."""
    try:
        made.rename(folder)
    except OSError as error:
        if folder.is_dir():
            raise FileExistsError(str(folder)) from error
        raise


def bundled_taxi_trips() -> str:
    """Folder of the 15,002 Chicago taxi trips inside the tfx wheel; tfx itself is not imported."""
    return str(_examples_of_tfx("The bundled taxi trips") / "chicago_taxi_pipeline" / "data" / "simple")


def bundled_movie_reviews() -> str:
    """File of the 100 movie reviews with labels inside the tfx wheel; tfx itself is not imported."""
    return str(_examples_of_tfx("The bundled movie reviews") / "imdb" / "data" / "imdb_small_with_labels.txt")


def _examples_of_tfx(what: str) -> Path:
    spec = importlib.util.find_spec("tfx")
    if spec is None or spec.origin is None:
        raise UsageError(f"{what} are inside the tfx package, which is not installed. Next: make env")
    return Path(spec.origin).parent / "examples"


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

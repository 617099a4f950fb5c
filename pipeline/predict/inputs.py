"""What is read: the files, their columns against those that the model reads, and what of them is written again."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa

from pipeline import schema as schemas
from pipeline.errors import DataBlocked, UsageError, hint, nearest, raise_all
from pipeline.ingest import checking, columns, images, read, selection
from pipeline.ingest.partition import Partition
from pipeline.predict import layout
from pipeline.predict.layout import Answer, Kept
from pipeline.predict.models import Model, batch_rows
from pipeline.predict.request import Request
from pipeline.rows import RowRules
from pipeline.sources import Csv, JsonLines, Source, TfRecord
from pipeline.splits import HashSplit
from pipeline.task import Task

_LOOKED_AT = 100
_SAME_NAME = 0.85
_UNUSABLE = "predict: the data can't be used as it is:"
_WRITTEN = {"INT": pa.int64(), "FLOAT": pa.float64(), "BYTES": pa.string()}


@dataclass(frozen=True)
class Job:
    """What is alike for all files of a prediction; plain values, so that it can be sent to a worker.

    Attributes:
      checks: how rows are read and checked.
      known: columns that the task or its schema names: no misspelling of another.
      model: folder of the SavedModel.
      version: written as `model_version`.
      classes: of the task's label.
      locate: whether `file` and `line` are written.
      kept: columns of the input that are written.
      batch_rows: that the model is asked about at once.
      format: of the output: parquet or csv.
      shard_rows: rows of a shard of the output; None writes one a file.
    """

    checks: checking.Job
    known: frozenset[str]
    model: str
    version: str
    classes: tuple[str, ...]
    locate: bool
    kept: tuple[Kept, ...]
    batch_rows: int
    format: str
    shard_rows: int | None


def files_of(request: Request) -> tuple[Source, list[checking.Unit]]:
    """The source and its files, in the order of their names; of spans, the newest.

    Raises:
      UsageError: there is none, or it can't be read.
    """
    source = _source(request.task, request.data)
    spans = selection.selected(source, HashSplit())
    paths = [path for group in spans.values() for path in group]
    return source, [checking.Unit(path, index) for index, path in enumerate(paths)]


def _source(task: Task, data: str) -> Source:
    """The format that a suffix names; files that ExampleGen writes have none, but `tfrecord` in their names."""
    named = data
    if "://" not in data and os.path.isdir(data):
        named = next((name for name in sorted(os.listdir(data)) if not name.startswith((".", "_"))), data)
    if re.search(r"tfrecord[^./]*$", PurePosixPath(named.removesuffix(".gz")).name):
        return TfRecord(data)
    return task.source.at(data)


def job(
    request: Request,
    model: Model,
    source: Source,
    units: Sequence[checking.Unit],
    format_: str,
    shard_rows: int | None,
) -> Job:
    """Everything that workers need; the files' starts are looked at.

    Args:
      request: what is asked.
      model: of the request, loaded.
      source: of the files.
      units: the files.
      format_: of the output.
      shard_rows: see Job.

    Raises:
      UsageError: a key that is no column; a column with the name of an answer.
      DataBlocked: files that can't be read or lack columns; all problems are told.
    """
    task = request.task
    rules = _rules(task, model)
    checks = checking.Job(
        source,
        rules,
        dict.fromkeys(rules, "which the model reads"),
        RowRules(),
        Partition(HashSplit()),
        [image for image in images.encoded(task.features) if image.name in rules],
        others=False,
    )
    known = frozenset({*rules, *task.columns, *_schema(task)})
    made = Job(
        checks,
        known,
        request.model,
        request.version,
        tuple(task.label.classes),
        request.keys is None,
        (),
        batch_rows([f for f in task.features if f.name in rules] or task.features),
        format_,
        shard_rows,
    )
    problems: list[str] = []
    starts: list[list[str]] = []
    for unit in units[:_LOOKED_AT]:
        try:
            names, _ = read.names(unit.path, source)
        except DataBlocked as error:
            problems.append(str(error))
            continue
        starts.append(names)
        problems += missing(made, unit.path, names)
    raise_all(DataBlocked, _UNUSABLE, problems)
    names = _kept_names(request, made, starts, layout.answers_of(model, made.classes))
    return Job(**{**vars(made), "kept": _kept(source, units[0], names, rules)})


def _schema(task: Task) -> dict[str, columns.Column]:
    path = schemas.path_of(task.name)
    return columns.of_schema(schemas.read(path)) if path else {}


def _rules(task: Task, model: Model) -> dict[str, columns.Column]:
    """What is demanded of each column that the model reads: its type, and a value where the schema requires one.

    Domains and ranges are the training data's: what is outside them is answered, an unseen category as any other.

    Raises:
      UsageError: a model that takes tf.Examples, of a task without a schema.
    """
    written = _schema(task)
    kinds = model.kinds
    if kinds is None:
        if not written:
            raise UsageError(
                f"predict: the model takes tf.Examples, and task {task.name!r} has no schema that says what is in "
                f"them. Next: millrace schema init --task {task.name}"
            )
        kinds = {feature.name: written[feature.name].kind for feature in task.features if feature.name in written}
    required = {name for name, column in written.items() if column.required}
    return {name: columns.Column(name, kind, name in required, single=True) for name, kind in sorted(kinds.items())}


def require(made: Job, path: str, names: Iterable[str]) -> None:
    """Raises DataBlocked where a file lacks columns, see `missing`."""
    raise_all(DataBlocked, _UNUSABLE, missing(made, path, sorted(names)))


def missing(made: Job, path: str, names: Sequence[str]) -> list[str]:
    """What is wrong with the columns of a file, given those of its first rows.

    In CSV, Parquet and Avro each column must be there. In JSON Lines and TFRecord a column may be absent from rows in
    which it is missing, so from all; unless the schema requires it, or a column of nearly that name looks like it.
    """
    spare = sorted(set(names) - made.known)
    keyed = isinstance(made.checks.source, read.KEYED)
    problems = []
    for name, column in made.checks.columns.items():
        if name in names:
            continue
        misspelt = _misspelt(name, spare)
        if not names or (keyed and not column.required and misspelt is None):
            continue
        near = hint(name, spare) if misspelt is None else f" Did you mean {misspelt!r}?"
        problems.append(f"{path}: column {name!r}, {made.checks.needed[name]}, is missing.{near}")
    return problems


def _misspelt(name: str, spare: Iterable[str]) -> str | None:
    """The column that is surely meant by another's name: but for capitals and a letter or two it is the same."""
    folded = {other.casefold(): other for other in spare}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=_SAME_NAME)
    return folded[close[0]] if close else None


def _kept_names(request: Request, made: Job, starts: Sequence[Sequence[str]], answers: Sequence[Answer]) -> list[str]:
    """The input columns that are written, in the order of the keys or of the first file.

    Raises:
      UsageError: a key that is no column, an image, or given twice; a column with the name of an answer.
    """
    images_ = {image.name for image in made.checks.encoded}
    first = next((names for names in starts if names), [])
    if request.keys is None:
        kept = [name for name in first if name not in images_]
    else:
        kept = list(request.keys)
        problems = [f"no column {name!r}.{nearest(name, first)}" for name in kept if name not in first]
        problems += [f"column {name!r} holds images, which are not written" for name in kept if name in images_]
        problems += [f"column {name!r} is given twice" for name in sorted({n for n in kept if kept.count(n) > 1})]
        raise_all(UsageError, "predict: --keys:", problems)
    ours = [*([layout.FILE, layout.LINE] if made.locate else []), *(a.name for a in answers), layout.VERSION]
    taken = sorted(set(kept) & set(ours))
    if taken:
        raise UsageError(
            f"predict: the data has columns of names that the output gives to its own: {', '.join(taken)}. "
            "Next: name the columns to write with --keys"
        )
    return kept


def _kept(
    source: Source, unit: checking.Unit, names: Sequence[str], rules: Mapping[str, columns.Column]
) -> tuple[Kept, ...]:
    """What the columns are written as: the file's own types where it has some, else those that the model reads, else text."""
    own: dict[str, pa.DataType] = {}
    if not isinstance(source, Csv | JsonLines):
        batch = next(iter(read.batches(unit.path, source, {})), None)
        found = batch.columns.schema if batch is not None else ()
        own = {field.name: layout.own_type(field.type) for field in found if not pa.types.is_null(field.type)}
    known = {name: _WRITTEN[column.kind] for name, column in rules.items()}
    return tuple(Kept(name, own.get(name) or known.get(name) or pa.string()) for name in names)

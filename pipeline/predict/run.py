"""A batch prediction from its files to its place: through Beam, a file each, then put together.

    account = run.predict(Request(task, data="trips.csv", out="tips.parquet", model="…/serving/taxi_tips/17", version="17"))

A worker writes under a name of its own attempt and passes on what it wrote, not rows; these manifests settle behind a
shuffle, so that a file that was answered twice counts once. Until all files are answered nothing has its own name.
"""

import dataclasses
import datetime
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from pipeline.errors import ERRORS, ExitCode, MillraceError, raise_all
from pipeline.ingest import checking, files, quarantine
from pipeline.ingest.account import Account
from pipeline.predict import inputs, layout, models, staging, work, writer
from pipeline.predict.bucket import Delivery
from pipeline.predict.place import ACCOUNT, Place
from pipeline.predict.request import Request

SHARD_ROWS = 1_000_000
"""Rows of a file in a folder of shards, at most."""
_IN_PROCESS = "--runner=FnApiRunner"

Wait = Callable[[Any, str], None]
"""Runs a Beam pipeline, of some name in messages, to its end."""


def to_the_end(pipeline: Any, name: str) -> None:
    """Runs a pipeline; a job of a cluster is cancelled where this process is interrupted.

    Raises:
      MillraceError: the job failed.
      KeyboardInterrupt: Ctrl-C.
    """
    del name
    result = pipeline.run()
    try:
        result.wait_until_finish()
    except KeyboardInterrupt:
        result.cancel()
        raise


def predict(request: Request, wait: Wait = to_the_end) -> dict[str, Any]:
    """Answers every row of the data, or lists it with its error.

    Args:
      request: what is asked.
      wait: runs the Beam job.

    Returns:
      The account, as it is in account.json: `passed` is whether there are few enough errors.

    Raises:
      UsageError: something that was asked for can't be.
      DataBlocked: files that can't be used; nothing is written.
      MillraceError: the model fails on every row, or the disk is full; nothing is written.
    """
    if not files.scheme(request.out):
        return _predict(request, wait)
    if request.staging is None and _IN_PROCESS not in request.beam_args:
        request = dataclasses.replace(request, staging=f"{request.out.rstrip('/')}.partial")
    with tempfile.TemporaryDirectory(prefix="millrace-predict-") as folder:
        delivery = Delivery(request.out, request.data, Path(folder), overwrite=request.overwrite)
        return delivery.send(_predict(dataclasses.replace(request, out=delivery.local, overwrite=False), wait))


def _predict(request: Request, wait: Wait) -> dict[str, Any]:
    """The same for a place of this machine."""
    began, started = time.perf_counter(), datetime.datetime.now(datetime.UTC)
    place = Place.of(request.out, request.format)
    source, units = inputs.files_of(request)
    place.check(request.data, [unit.path for unit in units], overwrite=request.overwrite)
    model = models.load(request.model)
    job = inputs.job(request, model, source, units, place.format, SHARD_ROWS if place.folder else None)
    with place.partial() as folder, staging.staged(job, request.staging, folder) as stage:
        parts = _parts(request, stage, units, wait)
        schema = work.schema_of(job, layout.answers_of(model, job.classes))
        try:
            made = _join(parts, schema, place, folder)
            errors = _join_errors(parts, place, folder)
            record = _record(request, job, parts) | {
                "started": started.isoformat(timespec="seconds"),
                "seconds": round(time.perf_counter() - began, 1),
                "out": str(place.path),
                "errors_at": str(place.errors),
                "columns": schema.names,
            }
            account = folder / ACCOUNT
            account.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise MillraceError(f"predict: {place.path} can't be written: {error.strerror or error}") from error
        place.publish(made, errors, account)
    return record


def _parts(request: Request, stage: staging.Stage, units: Sequence[checking.Unit], wait: Wait) -> list[work.Part]:
    """Sends the files through Beam.

    Raises:
      MillraceError: files that can't be used, all of them named, or a disk that is full.
      KeyboardInterrupt: Ctrl-C.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    pipeline = beam.Pipeline(options=PipelineOptions(list(request.beam_args)))
    found = pipeline | "Files" >> beam.Create(list(units), reshuffle=True)
    answered = found | "Answer" >> beam.FlatMap(_answer, stage.job, stage.at)
    _ = answered | "Settle" >> beam.Reshuffle() | "Manifests" >> beam.Map(_note, stage.at)
    try:
        wait(pipeline, "BulkInferrer")
    except RuntimeError as error:
        if str(error).startswith(KeyboardInterrupt.__name__):  # Beam wraps whatever stops a worker
            raise KeyboardInterrupt from error
        raise
    manifests = [stage.manifest(unit.index) for unit in units]
    failed = [manifest["failed"] for manifest in manifests if manifest["failed"]]
    if failed:
        kind = ERRORS[ExitCode(max(code for _, code in failed))]
        if len(failed) == 1:
            raise kind(failed[0][0])
        raise_all(kind, f"predict: {len(failed)} of {len(units)} files can't be used:", [said for said, _ in failed])
    return [stage.part(manifest) for manifest in manifests]


def _answer(unit: checking.Unit, job: inputs.Job, folder: str) -> Iterator[dict[str, Any]]:
    """Yields the manifest of a file; an error for the user is one, too, so that all of them are told."""
    prefix = f"{folder}/{unit.index:06d}-{uuid.uuid4().hex}"
    manifest: dict[str, Any] = {"index": unit.index, "failed": None}
    try:
        part = work.predict(job, unit, prefix)
        manifest |= {"shards": part.shards, "errors": part.errors, "absent": part.absent}
        manifest |= {"account": part.account.record()}
    except MillraceError as error:
        manifest["failed"] = [str(error), int(error.exit_code)]
    except OSError as error:
        said = f"predict: the answers to {unit.path} can't be written: {error.strerror or error}"
        manifest["failed"] = [said, int(ExitCode.FAILED)]
    yield manifest


def _note(manifest: dict[str, Any], folder: str) -> None:
    with files.create(staging.manifest_path(folder, manifest["index"])) as stream:
        stream.write(json.dumps(manifest).encode())


def _join(parts: Sequence[work.Part], schema: pa.Schema, place: Place, folder: Path) -> list[Path]:
    """The files of answers, in the order of the input; one without rows only where there is no row at all."""
    shards = [shard for part in parts for shard in part.shards]
    full = [path for path, rows in shards if rows] or [shards[0][0]]
    if place.folder:
        return [Path(path) for path in full]
    whole = folder / f"whole.{place.format}"
    writer.join(full, whole, schema, place.format)
    return [whole]


def _join_errors(parts: Sequence[work.Part], place: Place, folder: Path) -> Path:
    """The rows without an answer: one CSV file; beside shards as the quarantine has them, Parquet and the first as CSV."""
    if place.folder:
        errors = folder / "errors"
        errors.mkdir()
        with (errors / "rows.parquet").open("wb") as parquet, (errors / "rows.csv").open("wb") as text:
            quarantine.merge((part.errors for part in parts), parquet, text)
        return errors
    errors = folder / "errors.csv"
    with csv.CSVWriter(str(errors), quarantine.SCHEMA) as written:
        for part in parts:
            found = pq.ParquetFile(part.errors)
            for batch in found.iter_batches() if found.num_row_groups else ():
                written.write_batch(batch)
    return errors


def _record(request: Request, job: inputs.Job, parts: Sequence[work.Part]) -> dict[str, Any]:
    """The account of all files.

    Raises:
      MillraceError: it does not add up, which would be a defect of ours.
    """
    total = Account()
    for part in parts:
        total.add(part.account)
    total.check()
    share = total.quarantined / total.rows if total.rows else 0.0
    return {
        "task": request.task.name,
        "data": request.data,
        "model": request.model,
        "model_version": request.version,
        "rows": total.rows,
        "answered": total.splits[work.ANSWERED],
        "errors": total.quarantined,
        "max_errors": request.max_errors,
        "passed": share <= request.max_errors,
        "rules": total.record()["rules"],
        "absent_columns": sorted({name for part in parts for name in part.absent}),
        "files": total.files,
    }

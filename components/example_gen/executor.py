"""Runs the units of work through Beam, a file each, and puts their parts together.

A worker writes whole shards under a name of its own attempt and passes on only what it wrote: rows never go through
Beam. A manifest is written behind a shuffle, which a retry does not cross; so a file that was read twice counts once.
"""

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.example_gen import base_example_gen_executor, write_split
from tfx.components.util import examples_utils
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as keys
from tfx.utils import io_utils

from components import remote_files
from components.example_gen import duplicates, join
from components.example_gen.driver import GAPS, INPUTS
from pipeline import sources, tasks
from pipeline.errors import MillraceError, UsageError
from pipeline.ingest import columns, files, infer, read, selection, work
from pipeline.ingest.partition import Partition
from pipeline.splits import FolderSplit, SpanSplit
from pipeline.task import Task

_PARTS = ".parts"


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """See the module."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:
        """Not used: shards are written by the workers."""
        raise NotImplementedError

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads the files that the driver resolved.

        Raises:
          DataBlocked: files that can't be used; all are named.
        """
        remote_files.register()
        examples = artifact_utils.get_single_instance(output_dict[keys.EXAMPLES_KEY])
        kept_out = artifact_utils.get_single_instance(output_dict["quarantine"])
        settings = json.loads(exec_properties["settings"])
        task = tasks.load(settings["task"], settings["overrides"])
        source = sources.of_settings(settings["source"])
        units = _units(task, exec_properties)
        rules = _columns(task, source, input_dict, units)
        job = work.Job(source, rules, settings["needed"], task.rows, Partition(task.split, task.rows.key))
        examples.split_names = artifact_utils.encode_split_names(list(job.partition.names))
        folder = f"{kept_out.uri}/{_PARTS}"
        fileio.makedirs(folder)
        try:
            self._run(job, units, folder)
            written = join.manifests(folder, len(units))
            join.shards(written, examples, folder)
            account = join.accounts(written)
            join.quarantined(written, kept_out.uri)
            fraction = join.hashes(written, kept_out.uri)
        finally:
            fileio.rmtree(folder)
        about = {
            "task": task.name,
            "max_bad_fraction": task.rows.max_bad_fraction,
            "hash_fraction": fraction,
            "gaps": [selection.span_name(span, source) for span in json.loads(exec_properties[GAPS])],
            "span_name": selection.span_name(exec_properties["span"], source),
            "span": exec_properties["span"],
            "window": exec_properties["window"],
        }
        text = json.dumps({**about, **account.record()}, indent=1)
        io_utils.write_string_file(f"{kept_out.uri}/account.json", text)
        examples_utils.set_payload_format(examples, exec_properties[keys.OUTPUT_DATA_FORMAT_KEY])
        examples_utils.set_file_format(
            examples, write_split.to_file_format_str(exec_properties[keys.OUTPUT_FILE_FORMAT_KEY])
        )

    def _run(self, job: work.Job, units: Sequence[work.Unit], folder: str) -> None:
        with self._make_beam_pipeline() as pipeline:
            found = pipeline | "Files" >> beam.Create(units, reshuffle=True)
            if job.rows.key:
                repeated = duplicates.find(found, job)
                results = found | "Ingest" >> beam.ParDo(_Ingest(job, folder), beam.pvalue.AsDict(repeated))
            else:
                results = found | "Ingest" >> beam.ParDo(_Ingest(job, folder), {})
            _ = results | "Settle" >> beam.Reshuffle() | "Manifests" >> beam.Map(_write_manifest, folder)


class _Ingest(beam.DoFn):
    """A file to its parts; an error for the user is a result, too, so that all of them are told."""

    def __init__(self, job: work.Job, folder: str) -> None:
        self._job = job
        self._folder = folder

    def process(self, unit: work.Unit, repeated: dict[int, np.ndarray]) -> Iterator[dict[str, Any]]:
        """Yields the manifest of one file."""
        remote_files.register()
        prefix = f"{self._folder}/{unit.index:05d}-{uuid.uuid4().hex}"
        try:
            written = work.ingest(self._job, unit, prefix, duplicates=repeated.get(unit.index))
        except MillraceError as error:
            yield {"index": unit.index, "error": str(error), "usage": isinstance(error, UsageError)}
            return
        hashes = {f"hashes/{name}": sample for name, sample in written.hashes.items()}
        hashes |= {f"entities/{name}": sample for name, sample in written.entities.items()}
        with files.create(f"{prefix}-hashes") as stream:
            arrays: dict[str, Any] = {name: sample.values for name, sample in hashes.items()}
            np.savez(stream, **arrays)
        yield {
            "index": unit.index,
            "shards": written.shards,
            "quarantine": written.quarantine,
            "account": written.account.record(),
            "hashes": f"{prefix}-hashes",
            "bits": {name: sample.bits for name, sample in hashes.items()},
        }


def _write_manifest(manifest: dict[str, Any], folder: str) -> None:
    io_utils.write_string_file(f"{folder}/manifest-{manifest['index']:05d}.json", json.dumps(manifest))


def _units(task: Task, exec_properties: dict[str, Any]) -> list[work.Unit]:
    """The files in the order of their spans and names, each with its split where the whole file goes to one.

    Raises:
      UsageError: none matches.
    """
    base = exec_properties[keys.INPUT_BASE_KEY]
    inputs = json.loads(exec_properties[INPUTS])
    spans = sorted({entry["span"] for entry in inputs}, reverse=True)
    units: list[work.Unit] = []
    for entry in inputs:
        split = None
        if isinstance(task.split, FolderSplit):
            split = entry["split"]
        elif isinstance(task.split, SpanSplit):
            rank = spans.index(entry["span"])
            split = (
                "test" if rank < task.split.test else "eval" if rank < task.split.test + task.split.eval else "train"
            )
        pattern = os.path.join(base, entry["pattern"])
        for path in sources.visible(files.list_files(pattern)):
            units.append(work.Unit(path, len(units), entry["span"], split))
    return units


def _columns(
    task: Task, source: sources.Source, input_dict: dict[str, list[types.Artifact]], units: Sequence[work.Unit]
) -> dict[str, columns.Column]:
    """The schema's rules; without a schema, the types that all the rows suggest."""
    artifacts = input_dict.get(keys.SCHEMA_KEY)
    if artifacts:
        uri = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(artifacts))
        return columns.of_schema(io_utils.parse_pbtxt_file(uri, schema_pb2.Schema()))
    batches = (batch for unit in units for batch in read.batches(unit.path, source, {}))
    accepted = {feature.name: feature.accepts for feature in task.features}
    return columns.of_kinds(infer.types(infer.infer(batches, decimal=getattr(source, "decimal", ".")), accepted))

"""Runs the units of work through Beam, a file or a group of small ones each, and puts their parts together.

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
from pipeline.ingest import checking, columns, files, images, infer, read, selection, work
from pipeline.ingest.partition import Partition
from pipeline.splits import FolderSplit, SpanSplit
from pipeline.task import Task

_PARTS = ".parts"
_GROUP = 64 << 20


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
        partition = Partition(task.split, task.rows.key)
        encoded = [images.Encoded(**image) for image in settings.get("images", ())]
        job = checking.Job(source, rules, settings["needed"], task.rows, partition, encoded)
        examples.split_names = artifact_utils.encode_split_names(list(job.partition.names))
        folder = f"{kept_out.uri}/{_PARTS}"
        fileio.makedirs(folder)
        try:
            groups = _groups(units)
            self._run(job, groups, folder)
            written = join.manifests(folder, len(groups), len(units))
            join.shards(written, examples, folder)
            join.columns(written, examples, folder)
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
        for file in account.files:
            file["span_name"] = selection.span_name(file["span"], source)
        text = json.dumps({**about, **account.record()}, indent=1)
        io_utils.write_string_file(f"{kept_out.uri}/account.json", text)
        examples_utils.set_payload_format(examples, exec_properties[keys.OUTPUT_DATA_FORMAT_KEY])
        examples_utils.set_file_format(
            examples, write_split.to_file_format_str(exec_properties[keys.OUTPUT_FILE_FORMAT_KEY])
        )

    def _run(self, job: checking.Job, groups: Sequence[list[checking.Unit]], folder: str) -> None:
        with self._make_beam_pipeline() as pipeline:
            found = pipeline | "Files" >> beam.Create(list(enumerate(groups)), reshuffle=True)
            if job.rows.key:
                repeated = duplicates.find(found, job)
                results = found | "Ingest" >> beam.ParDo(_Ingest(job, folder), beam.pvalue.AsDict(repeated))
            else:
                results = found | "Ingest" >> beam.ParDo(_Ingest(job, folder), {})
            _ = results | "Settle" >> beam.Reshuffle() | "Manifests" >> beam.Map(_write_manifest, folder)


class _Ingest(beam.DoFn):
    """Some files to their parts; an error for the user is a result, too, so that all of them are told."""

    def __init__(self, job: checking.Job, folder: str) -> None:
        self._job = job
        self._folder = folder

    def process(
        self, group: tuple[int, list[checking.Unit]], repeated: dict[int, np.ndarray]
    ) -> Iterator[dict[str, Any]]:
        """Yields the manifest of a group of files."""
        remote_files.register()
        index, units = group
        prefix = f"{self._folder}/{index:05d}-{uuid.uuid4().hex}"
        written = work.ingest(self._job, units, prefix, repeated=repeated)
        hashes = {f"hashes/{name}": sample for name, sample in written.hashes.items()}
        hashes |= {f"entities/{name}": sample for name, sample in written.entities.items()}
        arrays: dict[str, Any] = {name: sample.values for name, sample in hashes.items()}
        with files.create(f"{prefix}-hashes") as stream:
            np.savez(stream, **arrays)
        yield {
            "index": index,
            "failed": [[str(error), isinstance(error, UsageError)] for error in written.failed],
            "shards": written.shards,
            "columns": {name: [vars(shard) for shard in shards] for name, shards in written.columns.items()},
            "span": units[0].span,
            "quarantine": written.quarantine,
            "account": written.account.record(),
            "hashes": f"{prefix}-hashes",
            "bits": {name: sample.bits for name, sample in hashes.items()},
        }


def _write_manifest(manifest: dict[str, Any], folder: str) -> None:
    io_utils.write_string_file(f"{folder}/manifest-{manifest['index']:05d}.json", json.dumps(manifest))


def _units(task: Task, exec_properties: dict[str, Any]) -> list[checking.Unit]:
    """The files in the order of their spans and names, each with its split where the whole file goes to one.

    Raises:
      UsageError: none matches.
    """
    base = exec_properties[keys.INPUT_BASE_KEY]
    inputs = json.loads(exec_properties[INPUTS])
    spans = sorted({entry["span"] for entry in inputs}, reverse=True)
    units: list[checking.Unit] = []
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
            units.append(checking.Unit(path, len(units), entry["span"], split))
    return units


def _groups(units: Sequence[checking.Unit]) -> list[list[checking.Unit]]:
    """Neighbours of one span together, up to 64 MB: many small files are read and written as a few large ones.

    So every shard has rows of one span only, and what was made of a span's shards can be used again.
    """
    groups: list[list[checking.Unit]] = []
    left = 0
    for unit in units:
        try:
            size = files.stat(unit.path).size
        except MillraceError:  # Reading it will say why.
            size = 0
        if not groups or left < size or groups[-1][-1].span != unit.span:
            groups.append([])
            left = _GROUP
        groups[-1].append(unit)
        left -= size
    return groups


def _columns(
    task: Task, source: sources.Source, input_dict: dict[str, list[types.Artifact]], units: Sequence[checking.Unit]
) -> dict[str, columns.Column]:
    """The schema's rules; without a schema, the types that all the rows suggest."""
    artifacts = input_dict.get(keys.SCHEMA_KEY)
    if artifacts:
        uri = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(artifacts))
        return columns.of_schema(io_utils.parse_pbtxt_file(uri, schema_pb2.Schema()))
    batches = (batch for unit in units for batch in read.batches(unit.path, source, {}))
    return columns.of_kinds(infer.types(infer.infer(batches, decimal=getattr(source, "decimal", ".")), task.accepts))

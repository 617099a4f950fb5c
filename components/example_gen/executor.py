"""Has units of work done, a file or a group of small ones each, and puts their parts together.

By threads of this process or by the workers of a Beam cluster, which write the same parts: see ingest.py.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import apache_beam as beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.example_gen import base_example_gen_executor, write_split
from tfx.components.util import examples_utils
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as keys
from tfx.utils import io_utils

from components import by_shard, remote_files
from components.example_gen import duplicates, inferred, join
from components.example_gen.driver import GAPS, INPUTS
from components.example_gen.ingest import Group, Ingest
from pipeline import sources, tasks
from pipeline.errors import MillraceError
from pipeline.ingest import checking, columns, files, images, selection
from pipeline.ingest.partition import Partition
from pipeline.splits import FolderSplit, SpanSplit
from pipeline.task import Task

_PARTS = ".parts"
_GROUP = 64 << 20  # bytes
_LEAST_BUCKETS, _MOST_BUCKETS = 8, 1024  # of keys; one for each group's bytes


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
        folder = f"{kept_out.uri}/{_PARTS}"
        fileio.makedirs(folder)
        try:
            spread = by_shard.spread(self._beam_pipeline_args, self._make_beam_pipeline, f"{folder}/spread")
            rules = _columns(task, source, input_dict, units, spread)
            partition = Partition(task.split, task.rows.key)
            encoded = [images.Encoded(**image) for image in settings.get("images", ())]
            job = checking.Job(source, rules, settings["needed"], task.rows, partition, encoded)
            examples.split_names = artifact_utils.encode_split_names(list(partition.names))
            written = list(spread.each("Ingest", Ingest(job, folder), _work(job, units, spread, folder), by_shard.JSON))
            join.check(written, len(units))
            join.shards(written, examples, folder)
            join.columns(written, examples, folder)
            account = join.accounts(written)
            join.quarantined(written, kept_out.uri)
            fraction = join.hashes(written, kept_out.uri)
        finally:
            with suppress(fileio.NotFoundError):  # in a bucket, where nothing was written
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


def _work(job: checking.Job, units: Sequence[checking.Unit], spread: by_shard.Spread, folder: str) -> list[Group]:
    """What is done as a whole: groups of files, with the rows that repeat a key where keys are to be unique."""
    sizes = [_size(unit) for unit in units]
    groups = _groups(units, sizes)
    if not job.rows.key:
        return [Group(group) for group in groups]
    buckets = min(_MOST_BUCKETS, _LEAST_BUCKETS + sum(sizes) // _GROUP)
    repeated = duplicates.find(job, groups, buckets, spread, folder)
    return [Group(group, listed) for group, listed in zip(groups, repeated, strict=True)]


def _size(unit: checking.Unit) -> int:
    try:
        return files.stat(unit.path).size
    except MillraceError:  # Reading it will say why.
        return 0


def _groups(units: Sequence[checking.Unit], sizes: Sequence[int]) -> list[list[checking.Unit]]:
    """Neighbours of one span together, up to 64 MB: many small files are read and written as a few large ones.

    So every shard has rows of one span only, and what was made of a span's shards can be used again.
    """
    groups: list[list[checking.Unit]] = []
    left = 0
    for unit, size in zip(units, sizes, strict=True):
        if not groups or left < size or groups[-1][-1].span != unit.span:
            groups.append([])
            left = _GROUP
        groups[-1].append(unit)
        left -= size
    return groups


def _columns(
    task: Task,
    source: sources.Source,
    input_dict: dict[str, list[types.Artifact]],
    units: Sequence[checking.Unit],
    spread: by_shard.Spread,
) -> dict[str, columns.Column]:
    """The schema's rules; without a schema, the types that all the rows suggest."""
    artifacts = input_dict.get(keys.SCHEMA_KEY)
    if artifacts:
        uri = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(artifacts))
        return columns.of_schema(io_utils.parse_pbtxt_file(uri, schema_pb2.Schema()))
    return columns.of_kinds(inferred.types([unit.path for unit in units], source, task.accepts, spread))

"""The statistics are TFDV's; its generators get batches of thousands of rows, each shard for itself.

Sending each row through Beam costs several times what the statistics themselves do. The same generators, fed by threads,
or by the workers of a cluster, give the same `FeatureStats.pb` in a fraction of the time. With options that only Beam
can serve TFX's own way is taken.
"""

import hashlib
import os
from typing import Any

import tensorflow_data_validation as tfdv
from tfx import types
from tfx.components.statistics_gen import executor as tfx_statistics_gen
from tfx.components.util import examples_utils
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils, stats_utils

from components import by_shard, remote_files
from components.known_spans import KnownSpans
from components.shards import shards
from components.statistics_gen.in_memory import statistics_of
from pipeline import mirrored

# Settings of StatsOptions that change what is read, or need a generator that is a Beam transform.
_BEAM_ONLY = ("experimental_filter_read_paths", "feature_allowlist", "label_feature", "sample_rate", "slicing_config")

_MOST_KNOWN = 256  # files: one for each span and split


class Executor(tfx_statistics_gen.Executor):
    """Has shards counted."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See TFX's executor. A split without rows, or without files, has statistics with `num_examples: 0`."""
        remote_files.register()
        examples = artifact_utils.get_single_instance(input_dict[standard_component_specs.EXAMPLES_KEY])
        excluded = json_utils.loads(exec_properties.get(standard_component_specs.EXCLUDE_SPLITS_KEY) or "null") or []
        splits = [split for split in artifact_utils.decode_split_names(examples.split_names) if split not in excluded]
        options = _options(input_dict, exec_properties)
        if not (splits and options and _is_plain(examples, exec_properties)):
            super().Do(input_dict, output_dict, exec_properties)
            return
        self._log_startup(input_dict, output_dict, exec_properties)
        statistics = artifact_utils.get_single_instance(output_dict[standard_component_specs.STATISTICS_KEY])
        _describe(statistics, splits, examples.span or examples.get_int_custom_property("span"))
        files = {split: shards(examples, split) for split in splits}
        spread = by_shard.spread(self._beam_pipeline_args, self._make_beam_pipeline, f"{statistics.uri}/.spread")
        known = _known_spans(options, exec_properties)
        for split, computed in statistics_of(files, options, known, spread).items():
            folder = artifact_utils.get_split_uri([statistics], split)
            fileio.makedirs(folder)
            with fileio.open(os.path.join(folder, tfx_statistics_gen.DEFAULT_FILE_NAME), "wb") as file:
                file.write(computed.SerializeToString())


def _options(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> tfdv.StatsOptions | None:
    """The options with the schema of the inputs; None where they are Beam's to serve, or TFX's to refuse."""
    given = exec_properties.get(standard_component_specs.STATS_OPTIONS_JSON_KEY)
    options = tfdv.StatsOptions.from_json(given) if given else tfdv.StatsOptions()
    schemas = input_dict.get(standard_component_specs.SCHEMA_KEY)
    weighted = options.example_weight_map.all_weight_features()
    if weighted or any(getattr(options, name) for name in _BEAM_ONLY) or (schemas and options.schema):
        return None
    if schemas:
        uri = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(schemas))
        options.schema = io_utils.SchemaReader().read(uri)
    return options


def _is_plain(examples: types.Artifact, exec_properties: dict[str, Any]) -> bool:
    """Whether all rows are asked for, and are tf.Examples in gzipped TFRecord files of the usual names."""
    sampled = json_utils.loads(exec_properties.get(standard_component_specs.SAMPLE_RATE_BY_SPLIT_KEY) or "null")
    return (
        not sampled
        and not exec_properties.get(standard_component_specs.SHARDED_STATS_OUTPUT_KEY)
        and not examples.has_custom_property(examples_utils.CUSTOM_SPLIT_PATTERN_PROPERTY_NAME)
        and examples_utils.get_payload_format(examples) == example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
        and examples_utils.get_file_format(examples) in ("tfrecords_gzip", "FORMAT_TFRECORDS_GZIP")
    )


def _describe(statistics: types.Artifact, splits: list[str], span: int) -> None:
    """Sets the properties that TFX's executor sets."""
    statistics.split_names = artifact_utils.encode_split_names(splits)
    statistics.span = span
    statistics.set_string_custom_property(
        tfx_statistics_gen.STATS_DASHBOARD_LINK, stats_utils.generate_stats_dashboard_link(statistics)
    )
    statistics.set_json_value_custom_property(
        tfx_statistics_gen.SAMPLE_RATE_BY_SPLIT_PROPERTY_NAME, json_utils.dumps(dict.fromkeys(splits, 1.0))
    )


def _known_spans(options: tfdv.StatsOptions, exec_properties: dict[str, Any]) -> KnownSpans | None:
    """Where counts of spans are kept; None where the component names no folder for them."""
    folder = exec_properties.get("known_spans")
    if not folder:
        return None
    settings = hashlib.sha256(options.to_json().encode()).hexdigest()  # with the schema
    return KnownSpans(mirrored.local(folder), f"{exec_properties['code']} {settings}", _MOST_KNOWN)

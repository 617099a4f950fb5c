"""TFT's analysis, run on batches of thousands of rows, shard by shard: not as TFT's Beam pipeline.

With few rows most of TFX's Transform is overhead: building Beam's pipeline and running its stages, writing each phase's
SavedModel and loading it again, tracing the preprocessing_fn again and again. TFT itself describes an analysis
as a small graph of operations (`analysis_graph_builder.build`), of which each is a combiner, or an operation on counts
of terms; on Beam each becomes a transform. Here each is a function of lists (operations.py): the same operations with
the same combiners on the same tensors, so the same results. A graph with an operation that is not known here (an
analyzer that is a Beam transform, a vocabulary by mutual information) is left to TFX.

The graph is TFT's internal one. A test names its operations, so that a new TFT does not go unnoticed.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import annotators, graph_tools, impl_helper, nodes
from tensorflow_transform.beam import analysis_graph_builder
from tensorflow_transform.beam.analyzer_cache import DatasetCache, DatasetKey
from tensorflow_transform.output_wrapper import TFTransformOutput
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io

from components.by_shard import Spread
from components.known_spans import KnownSpans, by_span
from components.shards import Shard
from components.transform import passes
from components.transform.operations import Elements, Operations, Plan
from components.transform.phases import Files, Phase
from components.transform.rows import Rows
from components.transform.tracing import Preprocess, Tracer

_LOG = logging.getLogger(__name__)


def analyse(
    preprocess: Preprocess,
    schema: schema_pb2.Schema,
    files: Sequence[Shard],
    folder: str,
    temporary: Files,
    spread: Spread,
    known_spans: KnownSpans | None = None,
) -> Phase:
    """Analyses rows, and writes what TFX's `transform_graph` artifact holds of it.

    Args:
      preprocess: the preprocessing_fn.
      schema: of the raw rows.
      files: which ones are analysed.
      folder: of the artifact.
      temporary: for what is written on the way; to be kept as long as the result is used.
      spread: has shards read.
      known_spans: what earlier runs kept of the spans of a window; None: nothing is kept.

    Returns:
      The transform.

    Raises:
      Unknown: an analyzer is in use that only TFT on Beam can run; nothing was written.
      ValueError: the preprocessing_fn gives nothing, or TFT finds fault with it.
    """
    tracer = Tracer(preprocess, Rows(schema).specs, temporary.folder)
    traced = tracer.trace()
    graph, made = traced.function.graph, traced.function.structured_outputs
    if not isinstance(made, dict) or not made:
        raise ValueError(f"preprocessing_fn: expected a dictionary of transformed columns. Received: {made}")
    if graph.get_collection(tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES):
        raise ValueError("preprocessing_fn: expected one that trains no variables.")
    assets = annotators.get_asset_annotations(graph)
    annotators.clear_asset_annotations(graph)
    fingerprints = graph_tools.get_analyzers_fingerprint(graph, traced.inputs)

    spans = {DatasetKey(known_spans.key(of)): of for of in by_span(files)} if known_spans else {}
    earlier = {key: known_spans.load(key.key) for key in spans} if known_spans and spans else None
    cache = {key: DatasetCache(entries, None) for key, entries in (earlier or {}).items()} if spans else None
    root, later, _ = analysis_graph_builder.build(graph, traced.inputs, made, list(spans), cache)
    later = later or {}
    serialised = schema.SerializeToString(deterministic=True)
    plan = Plan([root, *(node for entries in later.values() for node in entries.values())])

    def read(label: str, known: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Elements]:
        names = {name: tensor.name for name, tensor in outputs.items()}
        phase = temporary.phase(preprocess, serialised, known, names)
        if not known:
            phase.is_traced(traced)
        makers = plan.makers[label]
        of = {data_set: files if data_set.is_flattened_dataset_key() else spans[data_set] for data_set in makers}
        some = [file for shards in of.values() for file in shards]
        _LOG.info("%s reads %d shards; spans: %s", label, len(some), sorted({file.span for file in some if file.span}))
        return passes.run(spread, "Analyse", phase, of, makers)

    run = nodes.Traverser(Operations(read, earlier, graph, temporary.folder))
    ((_, known, _),) = run.visit_value_node(root)
    for key, entries in later.items():
        found = {name: run.visit_value_node(node) for name, node in entries.items()}
        if known_spans and earlier is not None:
            known_spans.save(key.key, {**earlier[key], **found})
    final = tracer.write(known, os.path.join(folder, TFTransformOutput.TRANSFORM_FN_DIR))
    impl_helper._validate_analyzers_fingerprint(fingerprints, final.function.graph, final.inputs)
    _write_metadata(tracer.metadata(final, known), assets, folder)
    transform = temporary.phase(preprocess, serialised, known)
    transform.is_traced(final)
    return transform


def _write_metadata(metadata: dataset_metadata.DatasetMetadata, assets: Mapping[str, str], folder: str) -> None:
    path = os.path.join(folder, TFTransformOutput.TRANSFORMED_METADATA_DIR)
    metadata_io.write_metadata(metadata, path)
    if assets:
        with tf.io.gfile.GFile(os.path.join(path, TFTransformOutput.ASSET_MAP), "w") as file:
            file.write(json.dumps(assets))

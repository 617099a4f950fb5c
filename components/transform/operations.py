"""The operations of TFT's analysis graph, as functions of lists.

On Beam each operation is a transform from collections to collections; here a collection is a list. What reads rows is
in accumulators.py, what makes vocabularies in vocabulary.py; the rest are the few lines below.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, nodes, tf_utils
from tensorflow_transform.beam import beam_nodes
from tensorflow_transform.beam.analyzer_cache import DatasetKey

from components.transform import vocabulary
from components.transform.accumulators import Accumulator, accumulator
from components.transform.coders import as_decoded, decode

Elements = list[Any]
Makers = dict[str, Callable[[], Accumulator]]
"""Label of an operation -> what makes its accumulator."""


class Unknown(Exception):
    """An operation that only TFT on Beam can run."""


class _OfRows(list[Any]):
    """In place of a collection of tensors: what reads it has run already."""


class Plan(nodes.Visitor):
    """Which operations read the output of which pass over the rows.

    Attributes:
      makers: label of the pass (`CreateSavedModel`) -> data set -> what is to be kept of it.
    """

    def __init__(self, roots: Collection[nodes.ValueNode]) -> None:
        """Looks at a graph.

        Args:
          roots: its outputs.

        Raises:
          Unknown: not all of it can be run here.
        """
        self.makers: dict[str, dict[DatasetKey, Makers]] = defaultdict(lambda: defaultdict(dict))
        traverser = nodes.Traverser(self)
        for root in roots:
            traverser.visit_value_node(root)

    def visit(
        self, operation_def: nodes.OperationDef, input_values: Sequence[nodes.ValueNode]
    ) -> tuple[nodes.ValueNode, ...]:
        """See nodes.Visitor."""
        if type(operation_def) in ACCUMULATING:
            self._keep(operation_def, input_values[0].parent_operation)
        elif type(operation_def) not in PLAIN or not _is_plain(operation_def):
            raise Unknown(type(operation_def).__name__)
        outputs: tuple[nodes.ValueNode, ...] = nodes.OperationNode(operation_def, input_values).outputs
        return outputs

    def validate_value(self, value: Any) -> None:
        """See nodes.Visitor."""

    def _keep(self, operation: nodes.OperationDef, source: Any) -> None:
        keys: Sequence[str] = ()
        if isinstance(source.operation_def, beam_nodes.ExtractFromDict):
            keys = source.operation_def.keys
            (source,) = (value.parent_operation for value in source.inputs)
        make = accumulator(operation, keys)
        if make is None or not isinstance(source.operation_def, beam_nodes.ApplySavedModel):
            raise Unknown(type(operation).__name__)
        model, data_set = (value.parent_operation.operation_def for value in source.inputs)
        self.makers[model.label][data_set.dataset_key][operation.label] = make


def _is_plain(operation: nodes.OperationDef) -> bool:
    """Whether the settings of an operation are among those that are known here."""
    if isinstance(operation, analyzer_nodes.VocabularyPrune):
        return operation.key_fn is None and operation.informativeness_threshold == float("-inf")
    return True


class Operations(nodes.Visitor):
    """Runs the operations of a graph that `Plan` accepted."""

    def __init__(
        self,
        read: Callable[[str, Mapping[str, tf.Tensor], Mapping[str, tf.Tensor]], dict[str, Elements]],
        cached: Mapping[DatasetKey, Mapping[bytes, Sequence[bytes]]] | None,
        graph: tf.Graph,
        folder: str,
    ) -> None:
        """See the class.

        Args:
          read: runs a pass over all its data sets: its label, what is known of the analyses (placeholder's name ->
            value), and the tensors that it makes; gives label of an operation -> what it kept.
          cached: data set -> key -> encoded accumulators; None where none are kept.
          graph: of the preprocessing_fn.
          folder: for the vocabularies.
        """
        self._read, self._cached, self._graph, self._folder = read, cached, graph, folder
        self._kept: dict[str, Elements] = {}
        self._passed: set[str] = set()

    def visit(self, operation_def: nodes.OperationDef, input_values: Sequence[Elements]) -> tuple[Elements, ...]:
        """See nodes.Visitor."""
        if type(operation_def) in ACCUMULATING:
            return (self._accumulated(operation_def),)
        made = PLAIN[type(operation_def)](self, operation_def, *input_values)
        return made if isinstance(made, tuple) else (made,)

    def validate_value(self, value: Any) -> None:
        """See nodes.Visitor."""

    def _accumulated(self, operation: Any) -> Elements:
        kept = self._kept.pop(operation.label)
        if self._cached is None:
            return kept
        if isinstance(operation, analyzer_nodes.PackedCombineAccumulate):
            coder_of = {part.label: part.combiner.accumulator_coder for part in operation.combiners}
            return [{label: as_decoded(coder_of[label], one) for label, one in packed.items()} for packed in kept]
        return [as_decoded(operation.cache_coder, element) for element in kept]

    # Where rows come from, and where values go.

    def data_set(self, operation: beam_nodes.ExtractInputForSavedModel) -> Elements:
        """Which rows."""
        return [operation.dataset_key]

    def saved_model(self, operation: beam_nodes.CreateSavedModel, *bindings: Elements) -> Elements:
        """What is known when a pass begins, or when the transform is written, and what it is to give."""
        known = dict(binding for (binding,) in bindings)
        return [(operation.label, known, operation.output_signature)]

    def apply(self, _operation: beam_nodes.ApplySavedModel, model: Elements, _rows: Elements) -> Elements:
        """A pass over the rows, of all its data sets at once: on Beam each pass costs the start of a job."""
        ((label, known, outputs),) = model
        if label not in self._passed:
            self._passed.add(label)
            self._kept.update(self._read(label, known, outputs))
        return _OfRows()

    def extract(self, operation: beam_nodes.ExtractFromDict, values: Elements) -> Elements:
        """One of the values that were packed."""
        return values if isinstance(values, _OfRows) else [value[operation.keys] for value in values]

    def bind(self, operation: beam_nodes.CreateTensorBinding, values: Elements) -> Elements:
        """The constant that a placeholder becomes."""
        (value,) = values
        return [(operation.tensor_name, tf.constant(value, tf.dtypes.as_dtype(operation.dtype_enum)))]

    def flatten(self, _operation: nodes.OperationDef, *parts: Elements) -> Elements:
        """All parts."""
        return [element for part in parts for element in part]

    # Combiners.

    def add_key(self, operation: analyzer_nodes.AddKey, values: Elements) -> Elements:
        """With the label of the combiner that they belong to."""
        return [(operation.key, value) for value in values]

    def merge(self, operation: analyzer_nodes.CacheableCombineMerge, values: Elements) -> Elements:
        """Accumulators to one output."""
        return [_output(operation.combiner, values)]

    def merge_packed(self, operation: analyzer_nodes.PackedCombineMerge, values: Elements) -> Elements:
        """Accumulators of several combiners to their outputs, by label."""
        of: dict[str, Elements] = defaultdict(list)
        for label, value in values:
            of[label].append(value)
        return [{part.label: _output(part.combiner, of[part.label]) for part in operation.combiners}]

    def outputs(self, operation: Any, values: Elements) -> tuple[Elements, ...]:
        """The outputs of a combiner, apart."""
        (value,) = values
        if len(value) != operation.num_outputs:
            raise ValueError(f"{operation.label}: expected {operation.num_outputs} outputs. Received: {len(value)}")
        return tuple([output] for output in value)

    def merge_per_key(self, operation: analyzer_nodes.CacheableCombinePerKeyMerge, values: Elements) -> Elements:
        """(key, accumulator) to (key, output)."""
        of: dict[Any, Elements] = defaultdict(list)
        for key, value in values:
            of[key].append(value)
        return [(key, _output(operation.combiner, kept)) for key, kept in of.items()]

    def format_keys(
        self, operation: analyzer_nodes.CacheableCombinePerKeyFormatKeys, values: Elements
    ) -> tuple[Elements, ...]:
        """(key, outputs) to an array of the keys, sorted, and one of each output."""
        infos = operation.combiner.output_tensor_infos()
        ordered = sorted(values, key=lambda pair: pair[0])
        columns = list(zip(*(outputs for _, outputs in ordered), strict=True)) or [()] * len(infos)
        keys = np.array([key for key, _ in ordered], dtype=tf.string.as_numpy_dtype)
        arrays = [np.array(c, dtype=info.dtype.as_numpy_dtype) for c, info in zip(columns, infos, strict=True)]
        return tuple([array] for array in (keys, *arrays))

    # Vocabularies.

    def merge_terms(self, _operation: analyzer_nodes.VocabularyMerge, values: Elements) -> Elements:
        """See vocabulary.py."""
        return vocabulary.merged(values)

    def prune(self, operation: analyzer_nodes.VocabularyPrune, values: Elements) -> Elements:
        """See vocabulary.py."""
        return vocabulary.pruned(operation, values)

    def count(self, _operation: analyzer_nodes.VocabularyCount, values: Elements) -> Elements:
        """See vocabulary.py."""
        return [vocabulary.size(values)]

    def write(
        self, operation: analyzer_nodes.VocabularyOrderAndWrite, values: Elements, reserved: Elements | None = None
    ) -> Elements:
        """See vocabulary.py."""
        return [vocabulary.write(operation, values, reserved[0] if reserved else None, self._folder)]

    def reserved(self, operation: analyzer_nodes.ExtractVocabularyReservedTokens) -> Elements:
        """Terms that the preprocessing_fn gives a place of their own."""
        return [list(tf_utils.fetch_vocabulary_reserved_tokens(self._graph, operation.name))]

    # Accumulators of earlier runs.

    def encode(self, operation: analyzer_nodes.EncodeCache, values: Elements) -> Elements:
        """Accumulators as bytes."""
        return [operation.coder.encode_cache(value) for value in values]

    def decode(self, operation: analyzer_nodes.DecodeCache) -> Elements:
        """Accumulators from bytes."""
        encoded = (self._cached or {})[operation.dataset_key][operation.cache_key]
        return [decode(operation.coder, value) for value in encoded]


def _output(combiner: analyzer_nodes.Combiner, accumulators: Elements) -> Any:
    merged = combiner.merge_accumulators([combiner.create_accumulator(), *accumulators])
    return combiner.extract_output(combiner.compact(merged))


ACCUMULATING = frozenset(
    {
        analyzer_nodes.PackedCombineAccumulate,
        analyzer_nodes.CacheableCombineAccumulate,
        analyzer_nodes.CacheableCombinePerKeyAccumulate,
        analyzer_nodes.VocabularyAccumulate,
    }
)
PLAIN: dict[type, Callable[..., Any]] = {
    beam_nodes.ExtractInputForSavedModel: Operations.data_set,
    beam_nodes.CreateSavedModel: Operations.saved_model,
    beam_nodes.ApplySavedModel: Operations.apply,
    beam_nodes.ExtractFromDict: Operations.extract,
    beam_nodes.CreateTensorBinding: Operations.bind,
    beam_nodes.Flatten: Operations.flatten,
    analyzer_nodes.AddKey: Operations.add_key,
    analyzer_nodes.CacheableCombineMerge: Operations.merge,
    analyzer_nodes.PackedCombineMerge: Operations.merge_packed,
    analyzer_nodes.ExtractCombineMergeOutputs: Operations.outputs,
    analyzer_nodes.ExtractPackedCombineMergeOutputs: Operations.outputs,
    analyzer_nodes.CacheableCombinePerKeyMerge: Operations.merge_per_key,
    analyzer_nodes.CacheableCombinePerKeyFormatKeys: Operations.format_keys,
    analyzer_nodes.VocabularyMerge: Operations.merge_terms,
    analyzer_nodes.VocabularyPrune: Operations.prune,
    analyzer_nodes.VocabularyCount: Operations.count,
    analyzer_nodes.VocabularyOrderAndWrite: Operations.write,
    analyzer_nodes.ExtractVocabularyReservedTokens: Operations.reserved,
    analyzer_nodes.EncodeCache: Operations.encode,
    analyzer_nodes.DecodeCache: Operations.decode,
}
"""Operations that read no rows. The others of TFT are left to Beam: see analysis.py."""

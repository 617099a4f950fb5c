"""TFT's operations are those that are known here, with the settings that are known here."""

import inspect
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers, nodes
from tensorflow_transform.beam import analyzer_impls, beam_nodes

from components.transform.accumulators import accumulator
from components.transform.operations import ACCUMULATING, PLAIN, Plan, Unknown

LEFT_TO_BEAM = {
    analyzer_nodes.CacheableCombinePerKeyFormatLarge,
    analyzer_nodes.FlattenLists,
    analyzer_nodes.InstrumentDatasetCache,
    analyzer_nodes.PTransform,
    analyzer_nodes.ScaleAndFlattenPerKeyBucketBouandaries,
}
BECOMES_ANOTHER = {analyzer_nodes.AnalyzerDef, analyzer_nodes.TensorSource}
SETTINGS: dict[type, tuple[str, ...]] = {
    analyzer_nodes.CacheableCombineAccumulate: ("combiner", "label"),
    analyzer_nodes.CacheableCombineMerge: ("combiner", "label"),
    analyzer_nodes.CacheableCombinePerKeyAccumulate: ("combiner", "label"),
    analyzer_nodes.CacheableCombinePerKeyMerge: ("combiner", "label"),
    analyzer_nodes.PackedCombineAccumulate: ("combiners", "label"),
    analyzer_nodes.PackedCombineMerge: ("combiners", "label"),
    analyzer_nodes.VocabularyAccumulate: ("vocab_ordering_type", "input_dtype", "label"),
    analyzer_nodes.VocabularyMerge: ("vocab_ordering_type", "use_adjusted_mutual_info", "min_diff_from_avg", "label"),
    analyzer_nodes.VocabularyPrune: (
        *("top_k", "frequency_threshold", "informativeness_threshold"),
        *("coverage_top_k", "coverage_frequency_threshold", "coverage_informativeness_threshold"),
        *("key_fn", "input_dtype", "label"),
    ),
    analyzer_nodes.VocabularyOrderAndWrite: (
        *("vocab_filename", "store_frequency", "input_dtype", "label", "fingerprint_shuffle", "file_format"),
        "input_is_sorted",
    ),
    beam_nodes.ApplySavedModel: ("phase", "label"),
    beam_nodes.CreateSavedModel: ("table_initializers", "output_signature", "label"),
    beam_nodes.CreateTensorBinding: ("tensor_name", "dtype_enum", "is_asset_filepath", "label"),
    beam_nodes.ExtractFromDict: ("keys", "label"),
    beam_nodes.ExtractInputForSavedModel: ("dataset_key", "label"),
}


def test_no_operation_of_tft_is_overlooked() -> None:
    """Where this fails TFT has changed: see what the operation does on Beam before it is added to one of the sets."""
    found = {
        kind
        for module in (analyzer_nodes, beam_nodes)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, nodes.OperationDef) and kind.__module__ == module.__name__
    }
    assert found == set(ACCUMULATING) | set(PLAIN) | LEFT_TO_BEAM | BECOMES_ANOTHER


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__name__)
def test_no_setting_of_an_operation_is_overlooked(kind: Any) -> None:
    assert kind._fields == SETTINGS[kind]


def test_beam_does_to_terms_what_is_done_to_them_here() -> None:
    """Each line is one that vocabulary.py repeats."""
    pruning = inspect.getsource(analyzer_impls._ApplyThresholdsAndTopK)
    assert "freq >= frequency_threshold and informativeness >= info_threshold" in pruning
    assert "beam.combiners.Top.Of(top_k)" in pruning
    ordering = inspect.getsource(analyzer_impls._OrderElementsFn)
    assert "counts.sort(**self._sort_kwargs)" in ordering
    assert "counts[:0] = [(-1, t) for t in reserved_tokens]" in ordering
    writing = inspect.getsource(analyzer_impls._VocabularyOrderAndWriteImpl)
    assert "hashlib.sha1(kv[1]).digest()" in writing
    assert "sort_kwargs = dict(reverse=True)" in writing
    assert "np.int64(np.maximum(count, 1))" in inspect.getsource(analyzer_impls._VocabularyCountImpl)


def test_vocabularies_that_are_not_by_frequency_are_left_to_beam() -> None:
    kinds = analyzers._VocabOrderingType
    known = {name for name, kind in vars(kinds).items() if name.isupper() and accumulator(of(kind), ("x", "y"))}
    assert known == {"FREQUENCY", "WEIGHTED_FREQUENCY"}


def of(kind: int) -> analyzer_nodes.VocabularyAccumulate:
    with tf.Graph().as_default():
        return analyzer_nodes.VocabularyAccumulate(kind)


def test_an_unknown_operation_is_refused() -> None:
    with tf.Graph().as_default():
        root = nodes.apply_operation(analyzer_nodes.FlattenLists)
    with pytest.raises(Unknown, match="FlattenLists"):
        Plan([root])

"""Terms and their counts into vocabulary files, as TFT does it on Beam: the same terms in the same order.

TFT's own implementation (tensorflow_transform/beam/analyzer_impls.py) is made of Beam transforms; what they do to a
list is written down here, and a test compares the files.
"""

import hashlib
import heapq
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers

Counts = list[tuple[Any, Any]]
"""(count, term)."""


def merged(elements: Iterable[tuple[Any, Any]]) -> Counts:
    """(term, count), a term maybe more than once, to (count, term): `VocabularyMerge`."""
    sums: dict[Any, Any] = {}
    for term, count in elements:
        sums[term] = sums.get(term, 0) + count
    return [(count, term) for term, count in sums.items()]


def pruned(operation: analyzer_nodes.VocabularyPrune, counts: Counts) -> Counts:
    """Those that are frequent enough, and the most frequent of them, largest first: `VocabularyPrune`.

    Raises:
      ValueError: a setting is negative.
    """
    for name in ("top_k", "frequency_threshold"):
        value = getattr(operation, name)
        if value is not None and value < 0:
            raise ValueError(f"{name} of a vocabulary: expected at least 0 or None. Received: {value}")
    if operation.frequency_threshold > 0:
        counts = [(count, term) for count, term in counts if count >= operation.frequency_threshold]
    if operation.input_dtype != tf.string.name:
        counts = [(count, tf.compat.as_bytes(tf.compat.as_str_any(term))) for count, term in counts]
    if operation.top_k is None:
        return counts
    return _never_empty(heapq.nlargest(operation.top_k, counts), operation.input_dtype)


def size(counts: Counts) -> np.int64:
    """How many terms the file has: `VocabularyCount`."""
    return np.int64(max(1, len(counts)))


def write(
    operation: analyzer_nodes.VocabularyOrderAndWrite, counts: Counts, reserved: Sequence[Any] | None, folder: str
) -> np.ndarray:
    """Writes the file: `VocabularyOrderAndWrite`.

    Args:
      operation: its settings.
      counts: the terms.
      reserved: terms that come first, or None.
      folder: where to write it.

    Returns:
      Its path, as a scalar.
    """
    if reserved is not None:
        known = set(reserved)
        counts = [(count, term) for count, term in counts if term not in known]
    if operation.fingerprint_shuffle:
        counts = sorted(counts, key=lambda pair: hashlib.sha1(pair[1], usedforsecurity=False).digest())
    elif not operation.input_is_sorted or reserved is not None:
        counts = sorted(counts, reverse=True)
    counts = _never_empty([(-1, term) for term in reserved or ()] + counts, operation.input_dtype)
    lines = [_line(count, term) if operation.store_frequency else term for count, term in counts]
    path = os.path.join(folder, operation.vocab_filename)
    if operation.file_format == "tfrecord_gzip":
        path = f"{path}.tfrecord.gz"
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for line in lines:
                writer.write(line)
    else:
        tf.io.gfile.makedirs(os.path.dirname(path))
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(b"".join(tf.compat.as_bytes(line) + b"\n" for line in lines))
    return np.array(path)


def _never_empty(counts: Counts, dtype: str) -> Counts:
    """TensorFlow can't read an empty vocabulary."""
    return counts or [analyzers.get_empy_vocabulary_dummy_value(dtype)]


def _line(count: Any, term: Any) -> bytes:
    return tf.compat.as_bytes(f"{count} {tf.compat.as_str_any(term)}")

"""Accumulators as bytes, with nothing unpickled but arrays and TFT's own accumulators.

What one shard kept is pickled, so that it comes back to the last bit. What a later run reads is written by TFT's coders.
"""

import pickle
from typing import Any

import numpy as np
from numpy._core import multiarray
from tensorflow_transform import analyzer_nodes, analyzers
from tfx_bsl import sketches

from components import pickles

_KEPT = (
    sketches.QuantilesSketch,
    analyzers._WeightedMeanAndVarAccumulator,
    analyzers._LMomentsAccumulator,
    *(np.ndarray, np.dtype, multiarray._reconstruct, multiarray.scalar),
)


def dump(kept: Any) -> bytes:
    """What accumulators keep, as bytes."""
    return pickle.dumps(kept, protocol=4)


def load(encoded: bytes) -> Any:
    """The reverse.

    Raises:
      pickle.UnpicklingError: there is something else in it.
    """
    return pickles.load(encoded, _KEPT)


def decode(coder: analyzer_nodes.CacheCoder, encoded: bytes) -> Any:
    """One accumulator.

    Args:
      coder: of the operation that made it.
      encoded: what the coder made of it.

    Raises:
      pickle.UnpicklingError: it is a pickle of something else.
    """
    if isinstance(coder, analyzers._QuantilesSketchCacheCoder):
        return pickles.load(encoded, [sketches.QuantilesSketch])
    if isinstance(coder, analyzer_nodes._CombinerPerKeyAccumulatorCoder):
        key, value = coder._vocabulary_coder.decode_cache(encoded)
        return key, decode(coder._combiner_coder, value)
    return coder.decode_cache(encoded)


def as_decoded(coder: analyzer_nodes.CacheCoder | None, element: Any) -> Any:
    """An accumulator as a later run reads it: so that a run gives the same, whether a span is known or not."""
    return element if coder is None else decode(coder, coder.encode_cache(element))

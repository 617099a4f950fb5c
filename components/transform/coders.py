"""TFT's coders of accumulators, with nothing unpickled but a sketch of quantiles, which TFT pickles."""

from typing import Any

from tensorflow_transform import analyzer_nodes, analyzers
from tfx_bsl import sketches

from components import pickles


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

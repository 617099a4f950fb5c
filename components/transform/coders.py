"""TFT's coders of accumulators, with nothing unpickled but a sketch of quantiles.

TFT pickles that sketch. A file of accumulators is read by a later run; whoever can write to the root should not be able
to run code by it, so the unpickler here knows this one class.
"""

import io
import pickle
from typing import Any

from tensorflow_transform import analyzer_nodes, analyzers
from tfx_bsl import sketches

_SKETCH = sketches.QuantilesSketch


class _OnlySketches(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) == (_SKETCH.__module__, _SKETCH.__name__):
            return _SKETCH
        raise pickle.UnpicklingError(f"{module_name}.{global_name}: expected a sketch of quantiles")


def decode(coder: analyzer_nodes.CacheCoder, encoded: bytes) -> Any:
    """One accumulator.

    Args:
      coder: of the operation that made it.
      encoded: what the coder made of it.

    Raises:
      pickle.UnpicklingError: it is a pickle of something else.
    """
    if isinstance(coder, analyzers._QuantilesSketchCacheCoder):
        return _OnlySketches(io.BytesIO(encoded)).load()
    if isinstance(coder, analyzer_nodes._CombinerPerKeyAccumulatorCoder):
        key, value = coder._vocabulary_coder.decode_cache(encoded)
        return key, decode(coder._combiner_coder, value)
    return coder.decode_cache(encoded)


def as_decoded(coder: analyzer_nodes.CacheCoder | None, element: Any) -> Any:
    """An accumulator as a later run reads it: so that a run gives the same, whether a span is known or not."""
    return element if coder is None else decode(coder, coder.encode_cache(element))

"""What TFDV's generators counted: passed on by workers, or kept of a span for later windows that hold it.

Accumulators are pickled, and of a pickle only these classes are read: those of the generators that TFDV runs by
default, and ours. Where a schema or an option adds another generator nothing is kept, and nothing passed on.
"""

import logging
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow_data_validation.statistics.generators import basic_stats_generator as basic
from tensorflow_data_validation.statistics.generators import stats_generator
from tensorflow_data_validation.statistics.generators import top_k_uniques_sketch_stats_generator as sketched
from tensorflow_data_validation.types import FeaturePath
from tensorflow_data_validation.utils.variance_util import MeanVarAccumulator
from tfx_bsl.sketches import KmvSketch, MisraGriesSketch, QuantilesSketch

from components import by_shard, pickles
from components.known_spans import KnownSpans
from components.statistics_gen.top_k import TopKUniques, Values

_LOG = logging.getLogger(__name__)
_GENERATORS = (basic.BasicStatsGenerator, TopKUniques, sketched.TopKUniquesSketchStatsGenerator)
_ENTRY = b"accumulators"
_CLASSES = (
    *(basic._BasicAcctype, basic._PartialBasicStats, basic._PartialCommonStats, basic._PresenceAndValencyStats),
    *(basic._PartialNumericStats, basic._PartialStringStats, basic._PartialBytesStats, MeanVarAccumulator),
    *(FeaturePath, Values, sketched._CombinedSketch, QuantilesSketch, KmvSketch, MisraGriesSketch),
    *(np.dtype, np.int64(0).__reduce__()[0]),  # the second makes a number of its bytes
)


def encodes(made: Sequence[stats_generator.CombinerStatsGenerator]) -> bool:
    """Whether what these generators count can be encoded."""
    return all(isinstance(generator, _GENERATORS) for generator in made)


def load(known: KnownSpans, key: str, number: int) -> list[Any] | None:
    """The accumulators of a span.

    Args:
      known: where they are.
      key: of the span.
      number: of generators.

    Returns:
      One a generator; None, with a warning, where what was kept can't be read.
    """
    encoded = known.load(key).get(_ENTRY)
    if encoded is None:
        return None
    try:
        if len(encoded) != number:
            raise ValueError(f"expected the accumulators of {number} generators. Received: {len(encoded)}")
        return _decoded(encoded)
    except Exception as error:  # a damaged pickle raises whatever it likes
        _LOG.warning("What was counted in a span (%s) can't be read, it is counted again: %s", key, error)
        return None


def save(known: KnownSpans, key: str, accumulators: Sequence[Any]) -> list[Any]:
    """Keeps what was counted in a span, where it can be encoded.

    Returns:
      The accumulators as a later run reads them: so that a run gives the same, whether a span is known or not.
    """
    try:
        encoded = [_encoded(one) for one in accumulators]
        decoded = _decoded(encoded)
    except Exception as error:  # whatever keeps a generator's own class from being pickled
        _LOG.info("What was counted in a span is not kept: %s", error)
        return list(accumulators)
    known.save(key, {_ENTRY: encoded})
    return decoded


def _encoded(accumulator: Any) -> bytes:
    return pickle.dumps(accumulator, protocol=5)


def _decoded(encoded: Sequence[bytes]) -> list[Any]:
    return [pickles.load(one, _CLASSES) for one in encoded]


FORM = by_shard.Form[list[Any]](_encoded, lambda encoded: pickles.load(encoded, _CLASSES))
"""Accumulators on their way from a worker."""

"""What the analyses keep of the rows, batch by batch: the operations of TFT that read rows.

Each is TFT's own combiner, or a count of terms, with TFT's Beam transforms around it left out. An accumulator is a list
of the elements that TFT's collection of the same operation would have: so it can be encoded by TFT's own coder.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from tensorflow_transform import analyzer_nodes, analyzers, nodes

Values = Mapping[str, np.ndarray]


class Accumulator(Protocol):
    """Takes in the tensors of one batch after another."""

    def add(self, values: Values) -> None:
        """Takes in a batch: name of a tensor -> its value."""

    def kept(self) -> Any:
        """All that is known of the rows, to be merged by another one of its kind."""

    def merge(self, kept: Any) -> None:
        """Takes in what another one of its kind kept of later rows."""

    def elements(self) -> list[Any]:
        """What was kept."""


class Combined:
    """One value, of all rows: `CacheableCombineAccumulate`."""

    def __init__(self, combiner: analyzer_nodes.Combiner, keys: Sequence[str]) -> None:
        """See the class."""
        self._combiner, self._keys = combiner, keys
        self._kept = combiner.create_accumulator()

    def add(self, values: Values) -> None:
        """See Accumulator."""
        self._kept = self._combiner.add_input(self._kept, tuple(values[key] for key in self._keys))

    def kept(self) -> Any:
        """See Accumulator."""
        return self._kept

    def merge(self, kept: Any) -> None:
        """See Accumulator."""
        self._kept = self._combiner.merge_accumulators([self._kept, kept])

    def elements(self) -> list[Any]:
        """See Accumulator."""
        return [self._combiner.compact(self._kept)]


class Packed:
    """Several of them, by their labels: `PackedCombineAccumulate`."""

    def __init__(self, parts: Sequence[Any]) -> None:
        """See the class.

        Args:
          parts: TFT's `_CombinerOpWrapper`: a combiner, the keys of its inputs, a label.
        """
        self._parts = {part.label: Combined(part.combiner, part.keys) for part in parts}

    def add(self, values: Values) -> None:
        """See Accumulator."""
        for part in self._parts.values():
            part.add(values)

    def kept(self) -> Any:
        """See Accumulator."""
        return {label: part.kept() for label, part in self._parts.items()}

    def merge(self, kept: Any) -> None:
        """See Accumulator."""
        for label, part in self._parts.items():
            part.merge(kept[label])

    def elements(self) -> list[Any]:
        """See Accumulator."""
        return [{label: part.elements()[0] for label, part in self._parts.items()}]


class CombinedPerKey:
    """A value for each key: `CacheableCombinePerKeyAccumulate`. The first tensor has the keys, of shape [rows]."""

    def __init__(self, combiner: analyzer_nodes.Combiner, keys: Sequence[str]) -> None:
        """See the class."""
        self._combiner, self._keys = combiner, keys
        self._kept: dict[Any, Any] = {}

    def add(self, values: Values) -> None:
        """See Accumulator."""
        keys, *columns = (values[key] for key in self._keys)
        for row, key in enumerate(keys):
            kept = self._kept[key] if key in self._kept else self._combiner.create_accumulator()
            self._kept[key] = self._combiner.add_input(kept, [column[row] for column in columns])

    def kept(self) -> Any:
        """See Accumulator."""
        return self._kept

    def merge(self, kept: Any) -> None:
        """See Accumulator."""
        for key, other in kept.items():
            mine = self._kept.get(key)
            self._kept[key] = other if mine is None else self._combiner.merge_accumulators([mine, other])

    def elements(self) -> list[Any]:
        """See Accumulator."""
        return [(key, self._combiner.compact(kept)) for key, kept in self._kept.items()]


class Counted:
    """How often each term was there: `VocabularyAccumulate` by frequency."""

    def __init__(self, keys: Sequence[str]) -> None:
        """See the class."""
        (self._key,) = keys
        self._counts: Counter[Any] = Counter()

    def add(self, values: Values) -> None:
        """See Accumulator."""
        self._counts.update(values[self._key].tolist())

    def kept(self) -> Any:
        """See Accumulator."""
        return dict(self._counts)

    def merge(self, kept: Any) -> None:
        """See Accumulator."""
        self._counts.update(kept)

    def elements(self) -> list[Any]:
        """See Accumulator."""
        return list(self._counts.items())


class Weighed:
    """How much each term weighs: `VocabularyAccumulate` by weighted frequency."""

    def __init__(self, keys: Sequence[str]) -> None:
        """See the class."""
        self._terms, self._weights = keys
        self._sums: dict[Any, float] = {}

    def add(self, values: Values) -> None:
        """See Accumulator."""
        for term, weight in zip(values[self._terms].tolist(), values[self._weights].tolist(), strict=True):
            self._sums[term] = self._sums.get(term, 0) + weight

    def kept(self) -> Any:
        """See Accumulator."""
        return self._sums

    def merge(self, kept: Any) -> None:
        """See Accumulator."""
        for term, weight in kept.items():
            self._sums[term] = self._sums.get(term, 0) + weight

    def elements(self) -> list[Any]:
        """See Accumulator."""
        return list(self._sums.items())


_OF_TERMS: dict[int, Callable[[Sequence[str]], Accumulator]] = {
    analyzers._VocabOrderingType.FREQUENCY: Counted,
    analyzers._VocabOrderingType.WEIGHTED_FREQUENCY: Weighed,
}


def accumulator(operation: nodes.OperationDef, keys: Sequence[str]) -> Callable[[], Accumulator] | None:
    """Makes what keeps for an operation of TFT.

    Args:
      operation: as TFT's analysis graph has it.
      keys: of the tensors that it reads.

    Returns:
      A function without arguments, which travels; None where only TFT itself can run the operation.
    """
    if isinstance(operation, analyzer_nodes.PackedCombineAccumulate):
        return partial(Packed, operation.combiners)
    if isinstance(operation, analyzer_nodes.CacheableCombineAccumulate):
        return partial(Combined, operation.combiner, keys)
    if isinstance(operation, analyzer_nodes.CacheableCombinePerKeyAccumulate):
        return partial(CombinedPerKey, operation.combiner, keys)
    if isinstance(operation, analyzer_nodes.VocabularyAccumulate):
        kind = _OF_TERMS.get(operation.vocab_ordering_type)
        return partial(kind, keys) if kind else None
    return None

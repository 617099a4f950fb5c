"""Samples of hashes, taken by the hash itself: what is equal in two samples of one threshold is equal in the whole."""

import numpy as np

_MOST = 1 << 20
_BITS = 64


class HashSample:
    """The smallest hashes of all that were added, below a threshold that is a power of two.

    Attributes:
      bits: the threshold is 2 ** bits; 64 keeps all.
    """

    def __init__(self, bits: int = _BITS) -> None:
        """An empty one; with the default threshold it keeps all until it has a million."""
        self.bits = bits
        self._parts: list[np.ndarray] = []
        self._count = 0

    def add(self, hashes: np.ndarray) -> None:
        """Adds hashes, uint64."""
        kept = hashes if self.bits == _BITS else hashes[hashes < np.uint64(1 << self.bits)]
        self._parts.append(kept)
        self._count += len(kept)
        while self._count > _MOST and self.bits:  # as many equal ones are kept together
            self.limit(self.bits - 1)

    def limit(self, bits: int) -> None:
        """Lowers the threshold."""
        if bits < self.bits:
            self.bits = bits
            kept = self.values
            self._parts = [kept[kept < np.uint64(1 << bits)]]
            self._count = len(self._parts[0])

    @property
    def values(self) -> np.ndarray:
        """The hashes, uint64, in the order in which they came."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.uint64)

    @property
    def fraction(self) -> float:
        """The share of all hashes that a sample of this threshold has."""
        return float(2.0 ** (self.bits - _BITS))

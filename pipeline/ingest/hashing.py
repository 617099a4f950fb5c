"""One 64-bit hash a row, from its values: the same in every run, on every machine, in whatever batch the row comes.

A value's hash is mixed with its column's name, and a row's is their sum: so it does not depend on the order of the
columns, and a column that is empty changes nothing. Mixing is SplitMix64's finaliser (Steele, Lea and Flood 2014,
"Fast splittable pseudorandom number generators"); text is hashed by BLAKE2b.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def rows(columns: Mapping[str, pa.Array]) -> np.ndarray:
    """A hash for each row.

    Args:
      columns: name -> int64, float32 or binary, or lists of them, each of shape [rows].

    Returns:
      uint64, shape [rows].
    """
    total: np.ndarray | None = None
    with np.errstate(over="ignore"):
        for name, column in columns.items():
            hashed = _column(column, _text(name.encode()))
            total = hashed if total is None else total + hashed
        return _mix(np.zeros(0, np.uint64) if total is None else total)


def _column(column: pa.Array, salt: int) -> np.ndarray:
    """The salted hash of each value, 0 where there is none."""
    if pa.types.is_list(column.type):
        return _lists(column, salt)
    hashed = _mix(_values(column) ^ np.uint64(salt))
    if column.null_count:
        hashed[np.asarray(column.is_null())] = 0
    return hashed


def _lists(column: pa.Array, salt: int) -> np.ndarray:
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)
    values = _values(column.flatten())
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    positions = (np.arange(len(values)) - np.repeat(starts, lengths)).astype(np.uint64)
    placed = np.where(positions == 0, values, _mix(values + positions * _GOLDEN))  # one value hashes as a flat one does
    mixed = _mix(placed ^ np.uint64(salt))
    sums = np.zeros(len(lengths), np.uint64)
    np.add.at(sums, np.repeat(np.arange(len(lengths)), lengths), mixed)
    return sums


def _values(column: pa.Array) -> np.ndarray:
    """64 bits for each value of a flat column; anything where it is null."""
    if pa.types.is_integer(column.type):
        return np.asarray(pc.fill_null(column, 0)).view(np.uint64)
    if pa.types.is_floating(column.type):
        values = np.asarray(pc.fill_null(column, 0.0)).astype(np.float32) + np.float32(0)  # -0 is 0
        return values.view(np.uint32).astype(np.uint64)
    encoded = column.dictionary_encode()
    terms = np.array([_text(term) for term in encoded.dictionary.to_pylist()] or [0], np.uint64)
    return terms[np.asarray(pc.fill_null(encoded.indices, 0))]


def _text(value: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "little")


def _mix(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))

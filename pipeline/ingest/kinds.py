"""What a text is: an integer, another number, or text; as pyarrow's CSV conversion sees it, blanks around it trimmed.

| text | kind | a column of these is |
|---|---|---|
| `7`, `-7`, `0` | integers | INT |
| `007`, `02139` | padded: a number would lose the zeros | BYTES |
| `9223372036854775808` and beyond | huge | FLOAT, which loses digits |
| `5.0`, `5.` | whole: an integer as pandas writes it beside missing ones | FLOAT; INT takes them, too |
| `1.5`, `+1`, `1e5` | reals | FLOAT, with integers among them or not |
| `nan` | nan: a missing float | FLOAT |
| `inf`, `1e39`: not a finite float32 | infinite | FLOAT; such rows break the rule `finite` |
| anything else, `0x1F` and `1,000` too | texts | BYTES |
| nothing but blanks | blank | a missing number; in a column of text, a value |
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_INTEGER = r"^-?[0-9]+$"
_PADDED = r"^-?0[0-9]+$"
_WHOLE = r"^-?[0-9]{1,15}\.0*$"
_NUMBER = r"(?i)^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$|^[+-]?(inf|infinity|nan(\(\w*\))?)$"
_FLOAT32 = float(np.finfo(np.float32).max)
_SURE_DIGITS = 18
_INT64_DIGITS = 19


@dataclass(frozen=True)
class Group:
    """The texts of one kind.

    Attributes:
      kind: as in the module's table.
      chosen: bool, shape [texts]: which ones.
      numbers: these as int64 or float64; None for kinds without finite numbers.
    """

    kind: str
    chosen: np.ndarray
    numbers: pa.Array | None = None


def kind_of(text: str) -> str:
    """The kind of one text."""
    return next(classify(pa.array([text], pa.string()))).kind


def classify(values: pa.Array) -> Iterator[Group]:
    """Sorts texts by kind.

    Args:
      values: string or large_string without nulls; bytes that are not UTF-8 are allowed.

    Yields:
      Each kind that is there; every text is in one group.
    """
    texts = pc.ascii_trim(values, " \t")
    lengths = np.asarray(pc.binary_length(texts))
    left = lengths > 0
    if not left.all():
        yield Group("blank", ~left)
    if not left.any():
        return
    integers = _matching(texts, _INTEGER) & left
    digits = np.zeros_like(left)
    if integers.any():
        padded = _matching(texts, _PADDED) & integers
        huge = integers & ~padded & ~_fit_int64(texts, lengths)
        plain = integers & ~padded & ~huge
        if plain.any():
            yield Group("integers", plain, texts.filter(pa.array(plain)).cast(pa.int64()))
        if padded.any():
            target = pa.int64() if lengths[padded].max() <= _SURE_DIGITS else pa.float64()
            yield Group("padded", padded, texts.filter(pa.array(padded)).cast(target))
        if huge.any():
            numbers = texts.filter(pa.array(huge)).cast(pa.float64()).to_numpy()
            held = np.abs(numbers) <= _FLOAT32
            digits[np.flatnonzero(huge)[~held]] = True
            if held.any():
                yield Group("huge", huge & ~digits, pa.array(numbers[held]))
        left &= ~integers
    if left.any() or digits.any():
        yield from _classify_rest(texts, left, digits)


def split_floats(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of float64 numbers: those that are "reals" as float32, "infinite" ones and "nan"."""
    nan = np.isnan(numbers)
    infinite = np.abs(numbers) > _FLOAT32
    return {"reals": ~nan & ~infinite, "infinite": infinite, "nan": nan}


def _classify_rest(texts: pa.Array, left: np.ndarray, digits: np.ndarray) -> Iterator[Group]:
    """Sorts what is no integer; `digits` are integers beyond any float32, which are texts."""
    try:
        numbers = texts.filter(pa.array(left)).cast(pa.float64()).to_numpy()
        numeric = left
    except pa.ArrowInvalid:
        numeric = left & _matching(texts, _NUMBER)
        numbers = texts.filter(pa.array(numeric)).cast(pa.float64()).to_numpy()
    places = np.flatnonzero(numeric)
    groups = split_floats(numbers)
    whole = np.zeros_like(groups["reals"])
    if groups["reals"].any():
        whole = _matching(texts.filter(pa.array(numeric)), _WHOLE)
    for kind, among in ({"whole": whole} | groups | {"reals": groups["reals"] & ~whole}).items():
        if among.any():
            chosen = np.zeros_like(left)
            chosen[places[among]] = True
            yield Group(kind, chosen, pa.array(numbers[among]) if kind in ("whole", "reals") else None)
    rest = (left & ~numeric) | digits
    if rest.any():
        yield Group("texts", rest)


def _matching(texts: pa.Array, expression: str) -> np.ndarray:
    return pc.match_substring_regex(texts, expression).to_numpy(zero_copy_only=False)


def _fit_int64(texts: pa.Array, lengths: np.ndarray) -> np.ndarray:
    """Which integers are within int64; only those of about 19 digits need a look."""
    fitting = lengths <= _SURE_DIGITS
    doubtful = ~fitting & (lengths <= _INT64_DIGITS + 1)
    for at in np.flatnonzero(doubtful):
        try:
            fitting[at] = -(2**63) <= int(texts[at].as_py()) < 2**63
        except (ValueError, UnicodeDecodeError):
            fitting[at] = False
    return fitting

"""How counts, shares and values are written in sentences."""

from collections.abc import Sequence

_LONGEST = 60
_SHOWN = 3


def count_of(number: int, noun: str) -> str:
    """`1 row`, `12 rows`, `15,002 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(part: float, whole: float) -> str:
    """`3.2 %`; a share that is not 0 never reads as 0, one that is not all never as 100."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1:
        return "under 0.1 %"
    if 99.9 < share < 100:
        return "over 99.9 %"
    return f"{share:.1f}".removesuffix(".0") + " %"


def quoted(text: str) -> str:
    """A value in quotes, on one line, at most 60 characters."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def number(value: float) -> str:
    """`25`, `0.5`, `1.2e+06`: no digits that say nothing."""
    return f"{value:.7g}"


def some(parts: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    rest = len(parts) - _SHOWN
    return ", ".join([*parts[:_SHOWN], *([f"and {rest:,} more"] if rest > 0 else [])])

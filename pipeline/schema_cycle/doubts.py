"""Which changes look like errors in the data rather than like news: for a person to judge, and left out by default."""

import difflib
import re
from collections.abc import Collection, Iterable

from pipeline.schema_cycle.words import number, percent, quoted

_STAND_INS = {"", "na", "nan", "null", "none", "nil", "missing", "undefined", "tbd"}
_SENTINELS = {-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0}
_CALENDAR = {
    (0, 6): "the days of a week",
    (1, 7): "the days of a week",
    (0, 11): "the months of a year",
    (1, 12): "the months of a year",
    (0, 23): "the hours of a day",
    (1, 24): "the hours of a day",
    (1, 31): "the days of a month",
    (0, 59): "the minutes of an hour",
    (0, 1): "no and yes",
}
_CLOSE = 0.85
_WIDER = 100
_MANY = 0.5
_DROP = 0.1


def key(text: str) -> str:
    """A text without case, blanks and punctuation."""
    return re.sub(r"[\W_]+", "", text.casefold())


def spelling(value: str, known: Iterable[str]) -> str | None:
    """The known value that differs from this one by case, blanks or punctuation only, or None."""
    own = key(value)
    return next((other for other in sorted(known) if own and other != value and key(other) == own), None)


def misspelt(value: str, known: Collection[str]) -> str | None:
    """The known value that this one is close to, or None. Codes with digits in them are never close."""
    if len(value) < 5 or any(character.isdigit() for character in value):
        return None
    return next(iter(difflib.get_close_matches(value, [v for v in sorted(known) if v != value], 1, _CLOSE)), None)


def of_value(value: str, rows: int, known: Collection[str]) -> list[str]:
    """Doubts about a new value of a domain.

    Args:
      value: the new one.
      rows: that have it.
      known: the domain.
    """
    found = []
    same, close = spelling(value, known), misspelt(value, known)
    if same is not None:
        found.append(f"differs from {quoted(same)} by case, blanks or punctuation only")
    elif close is not None:
        found.append(f"close to {quoted(close)}: misspelt?")
    if key(value) in _STAND_INS:
        found.append("stands for a missing value?")
    if "\ufffd" in value or not value.isprintable():
        found.append("has characters that can't be printed: another encoding?")
    if rows == 1:
        found.append("in a single row")
    return found


def of_range(
    old: tuple[float | None, float | None], new: tuple[float | None, float | None], rows: int, total: int
) -> list[str]:
    """Doubts about a wider range.

    Args:
      old: least and greatest value allowed, None where it is open.
      new: the same, so that all rows pass.
      rows: beyond the old one.
      total: all rows.
    """
    found = []
    beyond = [now for now, before in zip(new, old, strict=True) if now is not None and now != before]
    reach = _reach(old, new)
    if reach >= _WIDER:
        found.append(f"{number(float(f'{reach:.2g}'))} times as wide")
    if old[0] == 0 and new[0] is not None and new[0] < 0:
        found.append("negative where nothing was below 0")
    low, high = old
    if low is not None and high is not None and (low, high) in _CALENDAR:
        found.append(f"{number(low)} to {number(high)} are {_CALENDAR[int(low), int(high)]}")
    codes = [value for value in beyond if float(value) in _SENTINELS]
    if codes:
        found.append(f"{' and '.join(number(code) for code in codes)} often stands for a missing value")
    if total and rows > _MANY * total:
        found.append(f"{percent(rows, total)} of the rows: another unit?")
    if rows == 1:
        found.append("in a single row")
    return found


def _reach(old: tuple[float | None, float | None], new: tuple[float | None, float | None]) -> float:
    """How many times as wide as the old range the new one is; from 0 on, where the old one has no lower end."""
    low, high = old
    if high is None:
        return 0.0
    start = 0.0 if low is None else low
    first = start if new[0] is None else new[0]
    last = high if new[1] is None else new[1]
    return abs(last - first) / (abs(high - start) or 1.0)


def of_presence(old: float, share: float) -> list[str]:
    """Doubts about values that are missing more often: `old` is the share demanded, `share` the one seen."""
    lost = old - share
    return [f"{percent(lost, 1)} of the values lost at once: a broken join or export?"] if lost >= _DROP else []


def of_missing(role: str | None, like_new: Collection[str]) -> list[str]:
    """Doubts about a column without any value.

    Args:
      role: what the task uses it for, or None.
      like_new: new columns of the same type.
    """
    found = ["columns seldom vanish on purpose"]
    if role:
        found.append(f"the task reads it: {role}")
    if like_new:
        found.append(f"{', '.join(quoted(name) for name in sorted(like_new)[:3])} came at the same time: renamed?")
    return found

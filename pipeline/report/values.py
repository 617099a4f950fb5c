"""Values of data as JSON can hold them and a page can show them."""

import math
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

_LONGEST = 1000
_CODE = re.compile(r"`([^`]*)`|(checks=Checks\(.*\)$)", re.DOTALL)
_WAIVER_DAYS = 14


def text(value: Any, longest: int = _LONGEST) -> str | None:
    """A value as text that every encoding takes; bytes that are no UTF-8 as their hexadecimal digits.

    Args:
      value: of a column, or a sentence with some.
      longest: characters that are kept.
    """
    if value is None:
        return None
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            shown = value[: longest // 3]
            return f"0x {shown.hex(' ')}{' …' if len(shown) < len(value) else ''}"
    whole = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return whole if len(whole) <= longest else f"{whole[:longest]}…"


def from_home(path: str) -> str:
    """A path without the name of the user: `~/trips.csv`."""
    home = str(Path.home())
    return f"~{path.removeprefix(home)}" if path.startswith(f"{home}/") else path


def number(value: float | None, *, whole: bool = False) -> float | None:
    """A number as it is; None where JSON has none for it.

    Args:
      value: of a proto.
      whole: of a column of integers, which TFDV keeps as floats: an integer then, of the same value.
    """
    if value is None or not math.isfinite(value):
        return None
    return int(value) if whole and float(value).is_integer() else value


def share(part: float, whole: float) -> float | None:
    """A part of a whole; None where there is no whole."""
    return part / whole if whole else None


def step(said: str, day: str, placeholder: str) -> list[dict[str, str]]:
    """A next step in pieces, each `{"text"}` or `{"code"}`.

    Args:
      said: with commands in backticks, or with settings of the task at its end.
      day: of the run, as ISO 8601 has it.
      placeholder: what stands for the last day of a waiver.
    """
    until = (date.fromisoformat(day[:10]) + timedelta(days=_WAIVER_DAYS)).isoformat() if day else placeholder
    said = (text(said, 4 * _LONGEST) or "").replace(placeholder, until)
    pieces, at = [], 0
    for found in _CODE.finditer(said):
        pieces += [{"text": said[at : found.start()]}, {"code": found[1] or found[2]}]
        at = found.end()
    pieces.append({"text": said[at:]})
    return [piece for piece in pieces if any(piece.values())]

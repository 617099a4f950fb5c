"""Numbers as people read them. Each keeps its exact value and its place in report.json, so that a page can be checked."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup, escape

NOTHING = "\N{EN DASH}"


def at(report: Any, path: str) -> Any:
    """The value at a dotted path of keys and positions, such as `data.features.3.mean`.

    Raises:
      KeyError: there is no such place.
    """
    found = report
    for part in path.split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (IndexError, KeyError, TypeError, ValueError):
            raise KeyError(f"report.json has no {path}: stopped at {part!r}") from None
    return found


def figure(report: Mapping[str, Any], path: str, kind: str = "number") -> Markup:
    """A figure of the page: `<data value="0.9502131" data-path="overview.metrics.0.value">0.950</data>`.

    Args:
      report: report.json.
      path: see `at`.
      kind: a key of KINDS.

    Raises:
      KeyError: no such path or kind.
    """
    value = at(report, path)
    exact = "" if value is None else value
    return Markup('<data value="{}" data-path="{}">{}</data>').format(exact, path, KINDS[kind](value))


def number(value: float | None) -> str:
    """Three to four digits that matter: 0.950, 12.3, 1,235, 1.24e+07."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    size = abs(value)
    if isinstance(value, int) or (float(value).is_integer() and size < 1e7):
        return f"{value:,.0f}" if size < 1e15 else f"{value:.3g}"
    if math.isinf(value) or size >= 1e7 or size < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.{max(0, 3 - max(0, math.floor(math.log10(size)) + 1)) if size >= 1 else 4 if size < 0.1 else 3}f}"


def precise(value: float | None) -> str:
    """Six digits, of numbers that differ in their last ones, such as latitudes: 41.8786."""
    if value is None or isinstance(value, int) or math.isnan(value):
        return number(value)
    return f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"


def count(value: float | None) -> str:
    """Whole numbers: 15,002."""
    return NOTHING if value is None else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """A share of 1: 12.3 %, <0.1 %, >99.9 %."""
    if value is None or math.isnan(value):
        return NOTHING
    if 0 < value < 0.001:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    return f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """Time: 0.4 s, 12 s, 3 min 12 s, 2 h 5 min."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def mebibytes(value: float | None) -> str:
    """Memory, from MiB: 830 MiB, 1.5 GiB."""
    if value is None:
        return NOTHING
    return f"{value:,.0f} MiB" if value < 1024 else f"{value / 1024:.1f} GiB"


def signed(value: float | None) -> str:
    """A difference, with its sign: +0.012."""
    if value is None:
        return NOTHING
    return ("+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else "±") + number(abs(value))


def text(value: Any) -> str:
    """As it is."""
    return NOTHING if value is None else str(value)


KINDS: dict[str, Callable[[Any], str]] = {
    "number": number,
    "precise": precise,
    "count": count,
    "percent": percent,
    "seconds": seconds,
    "mebibytes": mebibytes,
    "signed": signed,
    "text": text,
}


def name(value: Any, length: int = 60) -> Markup:
    """A text that came from data: escaped, in its own direction, shortened in the middle, whole when pointed at.

    Control characters and marks that change the direction are shown as their numbers.
    """
    shown = "".join(c if c.isprintable() and c not in _MARKS else f"\\u{ord(c):04x}" for c in str(value))
    if len(shown) <= length:
        return Markup('<bdi class="name">{}</bdi>').format(shown) if shown else Markup('<i class="name">empty</i>')
    half = (length - 1) // 2
    whole = shown if len(shown) <= _TOLD else f"{shown[:_TOLD]}… ({len(shown):,} characters)"
    return Markup('<bdi class="name" title="{}">{}…{}</bdi>').format(whole, shown[:half], shown[-half:])


_TOLD = 500
_MARKS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

__all__ = ["KINDS", "NOTHING", "at", "escape", "figure", "name", "number"]

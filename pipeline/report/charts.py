"""Charts as SVG: Altair writes the Vega-Lite, vl-convert draws it here, so that the page needs no script and no network.

    charts.svg(alt.Chart(charts.table(x=…, y=…)).mark_line().encode(x="x:Q", y="y:Q"), "ROC curve of auc 0.950")

Colours are the page's (`var(--c1)`, see style.css), so that a chart follows light and dark; they are told apart by people
who are colour-blind, and never the only sign: series differ in dash or shape too, and are named at the line.
"""

import re
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
from altair.utils import schemapi
from markupsafe import Markup, escape

COLOURS = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)")
"""For series, in this order: candidate, baseline, then others."""
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3])
WIDTH, HEIGHT = 420, 260
# Altair holds each chart against the schema of Vega-Lite while it is made and again when it is written: half of the time.
schemapi.disable_debug_mode()
_SIZE = re.compile(r'^(<svg [^>]*?) width="[\d.]+" height="[\d.]+"')


def table(**columns: Any) -> pd.DataFrame:
    """A table of columns, for Altair."""
    return pd.DataFrame(columns)


def svg(
    chart: alt.Chart | alt.LayerChart | alt.HConcatChart, title: str, width: int = WIDTH, height: int = HEIGHT
) -> Markup:
    """Draws a chart.

    Args:
      chart: without a size.
      title: what it shows, in a sentence: for who can't see it.
      width: in pixels, of the plot; the page scales it down where there is less room.
      height: likewise.
    """
    spec = chart.properties(width=width, height=height).to_dict(validate=False)
    spec["config"] = {**_CONFIG, **spec.get("config", {})}
    spec["config"]["view"] = {"stroke": None}
    drawn = _SIZE.sub(r"\1", str(vl_convert.vegalite_to_svg(spec)))
    label = f'<svg role="img" aria-label="{escape(title)}" style="max-width:{width + 90}px" '
    return Markup(drawn.replace("<svg ", label, 1))  # noqa: S704  Vega escapes texts; the title is escaped here.


def warm_up() -> None:
    """Draws something, so that what draws has started."""
    svg(alt.Chart(table(x=[0, 1], y=[0, 1])).mark_line().encode(x="x:Q", y="y:Q"), "nothing")


_FONT = "system-ui, sans-serif"
_AXIS = {
    "labelColor": "var(--muted)", "titleColor": "var(--ink)", "gridColor": "var(--line)", "domainColor": "var(--muted)",
    "tickColor": "var(--muted)", "labelFont": _FONT, "titleFont": _FONT, "labelFontSize": 12, "titleFontSize": 12,
    "titleFontWeight": 500,
}  # fmt: skip
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": _FONT,
    "axis": _AXIS,
    "legend": {"labelColor": "var(--ink)", "titleColor": "var(--ink)", "labelFont": _FONT, "titleFont": _FONT},
    "title": {"color": "var(--ink)", "font": _FONT},
    "line": {"color": "var(--c1)", "strokeWidth": 2},
    "bar": {"color": "var(--c1)"},
    "point": {"color": "var(--c1)", "filled": True},
    "area": {"color": "var(--c1)", "opacity": 0.25},
    "rule": {"color": "var(--muted)"},
    "text": {"color": "var(--ink)", "font": _FONT},
    "range": {"category": list(COLOURS)},
}

"""report.json to one HTML file: templates, styles and script inlined, nothing loaded."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.report import figures


def environment(report: Mapping[str, Any]) -> jinja2.Environment:
    """What templates use: `fig(path, kind)`, and the filters `name`, `number`, `count`, `percent`, `seconds`."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["fig"] = lambda path, kind="number": figures.figure(report, path, kind)
    made.filters |= {"name": figures.name, **figures.KINDS}
    return made


def inlined(file: str) -> Markup:
    """A style or a script of the project's own."""
    return Markup((resources.files("pipeline.report") / "templates" / file).read_text("utf-8"))  # noqa: S704

"""report.json to one HTML file: templates, styles and script inlined, nothing loaded."""

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.report import figures


class _Compiled(jinja2.BytecodeCache):
    """Compiled templates, kept while the process lives: each page has environments of its own."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


def warm_up() -> None:
    """Compiles all templates."""
    made = environment({})
    for name in made.list_templates(extensions=("j2",)):
        made.get_template(name)


def environment(report: Mapping[str, Any]) -> jinja2.Environment:
    """What templates use: `fig(path, kind)`, and the filters `name`, `number`, `count`, `percent`, `seconds`."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    made.globals["fig"] = lambda path, kind="number": figures.figure(report, path, kind)
    made.filters |= {"name": figures.name, **figures.KINDS}
    return made


def inlined(file: str) -> Markup:
    """A style or a script of the project's own."""
    return Markup((resources.files("pipeline.report") / "templates" / file).read_text("utf-8"))  # noqa: S704


def render(template: str, report: Mapping[str, Any], **values: Any) -> str:
    """A whole file.

    Args:
      template: one that extends `page.html.j2`, or that itself.
      report: what figures are taken from.
      **values: for the template, beside `report`, `style`, `script` and `policy`.
    """
    script = inlined("page.js")
    return (
        environment(report)
        .get_template(template)
        .render(report=report, style=inlined("style.css"), script=script, policy=policy(script), **values)
    )


def policy(script: str) -> str:
    """The Content-Security-Policy of a page: nothing is loaded, and no script runs but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def section(name: str, report: Mapping[str, Any], charts: Mapping[str, Markup]) -> Markup:
    """The content of one part, without its heading.

    Args:
      name: its key in report.json; its template is `<name>.html.j2`.
      report: report.json, in which the part is not null.
      charts: of the part.
    """
    template = environment(report).get_template(f"{name}.html.j2")
    return Markup(template.render(report=report, part=report[name], charts=charts))  # noqa: S704

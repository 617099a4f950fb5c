"""Writes the figures of `benchmarks.template` into docs/performance.md: tables, and a chart beside it.

    python -m benchmarks.template --growth 15002000 --json figures.json
    python -m benchmarks.page figures.json

What stands between the two marks in the page is written anew; the rest of the page is left as it is.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.comparison import Row, cells
from benchmarks.sides import REPOSITORY

PAGE = REPOSITORY / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks.page: begin -->", "<!-- benchmarks.page: end -->"
_SIDES = {"stock": "TFX's template", "ours": "Millrace", "floor": "plain script"}
_HEADER = ("", "template", "ours", "ours ÷ template", "plain script")


def main(
    figures: Annotated[Path, typer.Argument(help="What benchmarks.template saved by --json.", exists=True)],
    page: Annotated[Path, typer.Option(help="The page; its chart is beside it.", exists=True)] = PAGE,
) -> None:
    """Writes the tables into the page, and the chart."""
    found = json.loads(figures.read_text())
    chart = page.with_suffix(".svg")
    page.write_text(placed(page.read_text(), tables(found, chart.name)))
    chart.write_text(drawn(found))


def placed(page: str, text: str) -> str:
    """The page with what is between its marks replaced.

    Raises:
        ValueError: it has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def tables(figures: dict[str, Any], chart: str) -> str:
    """Machine, chart and tables as Markdown.

    Args:
        figures: what `benchmarks.template` saved.
        chart: name of the chart's file.
    """
    compared = [size for size in figures["sizes"] if "comparison" in size]
    parts = [_machine(figures), f"![Seconds of the whole command by number of rows]({chart})", _whole(compared)]
    parts += [_of_size(size) for size in compared]
    parts.append(_growth([size for size in figures["sizes"] if size["rows"] >= compared[-1]["rows"]]))
    return "\n\n".join(part for part in parts if part)


def drawn(figures: dict[str, Any]) -> str:
    """The chart, as SVG: seconds of the whole command over rows, both axes logarithmic."""
    import altair as alt
    import vl_convert

    lines = [
        {"rows": size["rows"], "seconds": _middle(size, kind, "process_seconds"), "side": name}
        for size in figures["sizes"]
        for kind, name in _SIDES.items()
        if kind in size["runs"]
    ]
    whole = alt.Scale(type="log")
    chart = (
        alt.Chart(alt.Data(values=lines), width=520, height=300)
        .mark_line(point=True)
        .encode(
            alt.X("rows:Q", scale=whole, title="rows"),
            alt.Y("seconds:Q", scale=whole, title="seconds, the whole command"),
            alt.Color("side:N", sort=list(_SIDES.values()), title=None),
        )
    )
    return vl_convert.vegalite_to_svg(chart.to_dict())


def _machine(figures: dict[str, Any]) -> str:
    machine, settings = figures["machine"], figures["settings"]
    disturbance = max(size["disturbance"] for size in figures["sizes"])
    training = settings["training"]["ours"]
    own = "as the task has them"
    steps = f"{training['steps']:,} steps of {training['batch_size']} rows" if training["steps"] else f"steps {own}"
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, Python {machine['python']}, "
        f"TFX {machine['tfx']}, TensorFlow {machine['tensorflow']}. Medians of {settings['rounds']}, "
        f"{steps}. "
        f"Other programs took up to {disturbance:.0%} of the machine meanwhile."
    )


def _whole(sizes: Sequence[dict[str, Any]]) -> str:
    """The whole command on each number of rows, and the two kinds of rerun."""
    lines = []
    for size in sizes:
        row = next(_row(line) for line in size["comparison"] if line["name"] == "whole process")
        again = size["again"]
        memory = next(_row(line) for line in size["comparison"] if line["name"].startswith("…"))
        lines.append(
            (
                f"{size['rows']:,}",
                *cells(row)[1:],
                f"{again['cached']:.1f} s",
                f"{again['edited']:.1f} s, {again['edited'] / again['ours']:.2f}",
                f"{memory.stock or 0:,.0f} / {memory.ours or 0:,.0f}",
            )
        )
    header = ("rows", *_HEADER[1:], "ours, cached", "ours, another model", "peak MiB, template / ours")
    return _table(header, lines)


def _of_size(size: dict[str, Any]) -> str:
    rows = [_row(line) for line in size["comparison"]]
    return f"### {size['rows']:,} rows\n\n{_table(_HEADER, map(cells, rows))}"


def _growth(sizes: Sequence[dict[str, Any]]) -> str:
    """Ours on the largest compared number of rows and on more."""
    if len(sizes) < 2:
        return ""
    lines = []
    for size in sizes:
        seconds, cpu = (_middle(size, "ours", name) for name in ("process_seconds", "cpu_seconds"))
        memory = _middle(size, "ours", "peak_pss_mb")
        rate = size["rows"] / cpu * 3600 / 1e6
        lines.append((f"{size['rows']:,}", f"{seconds:,.0f}", f"{cpu:,.0f}", f"{memory:,.0f}", f"{rate:,.0f} million"))
    header = ("rows", "seconds", "processor seconds", "peak MiB", "rows a core-hour")
    return f"### Growth\n\n{_table(header, lines)}"


def _row(line: dict[str, Any]) -> Row:
    return Row(**{name: line[name] for name in ("section", "name", "stock", "ours", "floor")})


def _middle(size: dict[str, Any], kind: str, name: str) -> float:
    return float(median(run[name] for run in size["runs"][kind]))


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines))


if __name__ == "__main__":
    typer.run(main)

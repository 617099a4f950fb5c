"""The charts of the model section, from its part of report.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from pipeline.report.charts import COLOURS, DASHES, svg, table

_SIDE = 300
_MOST_FEATURES = 30
_TICKS = 6
_SHARE: dict[str, Any] = {"scale": alt.Scale(domain=(0, 1)), "axis": alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1])}
"""Of an axis from 0 to 1."""
_PADDING = {"left": 40, "right": 5, "top": 5, "bottom": 5}
"""Where labels are long: the page's font may be wider than the one that this was drawn with."""


def charts(part: Mapping[str, Any]) -> dict[str, Markup]:
    """name -> SVG."""
    drawn: dict[str, Markup] = {}
    if part["training"]["course"]:
        drawn |= _course(part["training"]["course"])
    if part["training"]["trials"]:
        drawn["trials"] = _trials(part["training"]["trials"])
    if part["binary"]:
        drawn |= _binary(part["binary"])
    if part["regression"]:
        drawn["predicted"] = _against(part["regression"]["calibration"], part["label"])
    if part["errors"] and part["errors"]["rows"]:
        drawn |= _errors(part["errors"])
    if part["importance"] and part["importance"]["features"]:
        drawn["importance"] = _importance(part["importance"])
    return drawn


def _series(names: Sequence[str]) -> dict[str, Any]:
    """Colour and dash of lines, by the column `of`."""
    legend = _legend(names)
    return {
        "color": alt.Color("of:N", scale=alt.Scale(domain=list(names), range=list(COLOURS)), legend=legend),
        "strokeDash": alt.StrokeDash("of:N", scale=alt.Scale(domain=list(names), range=list(DASHES)), legend=legend),
    }


def _legend(names: Sequence[str], symbol: str = "stroke") -> alt.Legend | None:
    return alt.Legend(title=None, orient="bottom", symbolType=symbol, symbolSize=200) if len(names) > 1 else None


def _lines(points: Sequence[Mapping[str, Any]], x: alt.X, y: alt.Y, names: Sequence[str], **mark: Any) -> alt.Chart:
    """Lines through points {x, y, of}, in the order given."""
    columns = {key: [point[key] for point in points] for key in ("x", "y", "of")}
    data = table(**columns, order=range(len(points)))
    return alt.Chart(data).mark_line(**mark).encode(x=x, y=y, order="order:Q", **_series(names))


def _course(course: Mapping[str, Any]) -> dict[str, Markup]:
    history, best = course["history"], course["best_step"]
    if len(history) < 2:
        return {}
    loss = [
        {"x": entry["step"], "y": entry[key], "of": of}
        for key, of in (("loss", "train"), ("val_loss", "eval"))
        for entry in history
        if entry.get(key) is not None
    ]
    drawn = {
        "loss": _over_steps(loss, ("train", "eval"), "loss", best, "Loss by step, of the train and the eval split")
    }
    watched = course["watched"]
    measured = [
        {"x": e["step"], "y": e[watched], "of": "eval"} for e in history if watched and e.get(watched) is not None
    ]
    if measured:
        name = watched.removeprefix("val_")
        drawn["metric"] = _over_steps(measured, ("eval",), name, best, f"{name} of the eval split by step")
    return drawn


def _over_steps(points: Sequence[Mapping[str, Any]], names: Sequence[str], what: str, best: int, title: str) -> Markup:
    x = alt.X("x:Q", title="steps", axis=alt.Axis(tickCount=_TICKS))
    y = alt.Y("y:Q", title=what, scale=alt.Scale(zero=False))
    lines = _lines(points, x, y, names, point=True)
    rule = alt.Chart(table(x=[best])).mark_rule(strokeDash=[4, 4]).encode(x="x:Q")
    late = best > (points[0]["x"] + points[-1]["x"]) / 2
    said = alt.Chart(table(x=[best], text=["chosen"]))
    mark = said.mark_text(align="right" if late else "left", dx=-4 if late else 4, baseline="bottom", y=-2)
    return svg(lines + rule + mark.encode(x="x:Q", text="text:N"), f"{title}; step {best:,} is chosen.", height=200)


def _trials(search: Mapping[str, Any]) -> Markup:
    done = sorted((t for t in search["trials"] if t["value"] is not None), key=lambda trial: trial["number"])
    better = min if search["direction"] == "min" else max
    so_far = [better(t["value"] for t in done[: i + 1]) for i in range(len(done))]
    data = table(x=[t["number"] for t in done], y=[t["value"] for t in done], best=so_far)
    x = alt.X("x:Q", title="trial", axis=alt.Axis(tickMinStep=1))
    dots = (
        alt.Chart(data)
        .mark_point(size=50)
        .encode(x=x, y=alt.Y("y:Q", title=search["objective"], scale=alt.Scale(zero=False)))
    )
    line = (
        alt.Chart(data)
        .mark_line(interpolate="step-after", strokeDash=[4, 4], color=COLOURS[1])
        .encode(x="x:Q", y="best:Q")
    )
    return svg(line + dots, f"{search['objective']} of each trial, and the best so far as a dashed line.", height=200)


def _binary(found: Mapping[str, Any]) -> dict[str, Markup]:
    names = [own["model"] for own in found["curves"]]
    at = found["at"]
    drawn = {}
    for name, key, other, title in (
        ("roc", "false_positive_rate", "recall", "ROC curve: recall against the false-positive rate"),
        ("precision_recall", "recall", "precision", "Precision against recall"),
    ):
        points = [
            {"x": p[key], "y": p[other], "of": own["model"]}
            for own in found["curves"]
            for p in own["points"]
            if p[key] is not None and p[other] is not None
        ]
        x = alt.X("x:Q", title=key.replace("_", "-", 1).replace("_", " "), **_SHARE)
        y = alt.Y("y:Q", title=other, **_SHARE)
        layers = [_lines(points, x, y, names)]
        if name == "roc":
            layers.insert(0, _diagonal())
        if at[key] is not None and at[other] is not None:
            layers.append(alt.Chart(table(x=[at[key]], y=[at[other]])).mark_point(size=70).encode(x="x:Q", y="y:Q"))
        drawn[name] = svg(
            alt.LayerChart(layer=layers), f"{title}; the dot is at the threshold {at['threshold']:.3f}.", _SIDE, _SIDE
        )
    drawn["calibration"] = _calibration(found["calibration"])
    drawn["scores"] = _scores(found["scores"])
    return drawn


def _diagonal(low: float = 0.0, high: float = 1.0) -> alt.Chart:
    line = alt.Chart(table(x=[low, high], y=[low, high]))
    return line.mark_line(color="var(--muted)", strokeWidth=1, strokeDash=[2, 3]).encode(x="x:Q", y="y:Q")


def _calibration(models: Sequence[Mapping[str, Any]]) -> Markup:
    flat = [(own["model"], b) for own in models for b in own["bins"]]
    data = table(
        x=[b["predicted"] for _, b in flat],
        y=[b["observed"] for _, b in flat],
        low=[b["interval"][0] for _, b in flat],
        high=[b["interval"][1] for _, b in flat],
        of=[model for model, _ in flat],
    )
    names = [own["model"] for own in models]
    legend = alt.Legend(title=None, orient="bottom") if len(names) > 1 else None
    colour = alt.Color("of:N", scale=alt.Scale(domain=names, range=list(COLOURS)), legend=legend)
    x = alt.X("x:Q", title="predicted probability of yes", **_SHARE)
    y = alt.Y("y:Q", title="observed share of yes", **_SHARE)
    shape = alt.Shape("of:N", scale=alt.Scale(domain=names, range=["circle", "square"]), legend=legend)
    dots = alt.Chart(data).mark_point(size=45).encode(x=x, y=y, shape=shape, color=colour)
    bars = alt.Chart(data).mark_rule(strokeWidth=1.5).encode(x="x:Q", y="low:Q", y2="high:Q", color=colour)
    title = "Calibration: observed against predicted share of yes, with intervals; the diagonal is perfect."
    return svg(_diagonal() + bars + dots, title, _SIDE, _SIDE)


def _scores(bars: Sequence[Mapping[str, float]]) -> Markup:
    data = table(
        low=[bar["low"] for bar in bars] * 2,
        high=[bar["high"] for bar in bars] * 2,
        rows=[bar["no"] for bar in bars] + [bar["yes"] for bar in bars],
        of=["label: no"] * len(bars) + ["label: yes"] * len(bars),
    )
    row = alt.Row(
        "of:N", title=None, header=alt.Header(labelColor="var(--ink)", labelOrient="top", labelAnchor="start")
    )
    chart = alt.Chart(data).mark_bar(stroke="var(--card)", strokeWidth=1)
    colour = alt.Color("of:N", scale=alt.Scale(range=[COLOURS[1], COLOURS[0]]), legend=None)
    encoded = chart.encode(
        x=alt.X("low:Q", title="predicted probability of yes", bin="binned", **_SHARE),
        x2="high:Q",
        y=alt.Y("rows:Q", title="rows", axis=alt.Axis(tickCount=3)),
        color=colour,
        row=row,
    )
    return svg(encoded.resolve_scale(y="independent"), "Rows by predicted probability, for either label.", _SIDE, 115)


def _against(models: Sequence[Mapping[str, Any]], label: str) -> Markup:
    names = [own["model"] for own in models]
    points = [{"x": b["predicted"], "y": b["observed"], "of": own["model"]} for own in models for b in own["bins"]]
    ends = [value for point in points for value in (point["x"], point["y"])] or [0.0, 1.0]
    x, y = alt.X("x:Q", title=f"mean prediction of {label}"), alt.Y("y:Q", title=f"mean {label}")
    lines = _lines(points, x, y, names, point=True)
    return svg(
        alt.LayerChart(layer=[_diagonal(min(ends), max(ends)), lines]),
        "Mean label against mean prediction, by range of the prediction.",
        _SIDE,
        _SIDE,
    )


def _errors(found: Mapping[str, Any]) -> dict[str, Markup]:
    bars = found["histogram"]
    data = table(**{key: [bar[key] for bar in bars] for key in ("low", "high", "rows")})
    x = alt.X("low:Q", title="residual (label less prediction)", bin="binned")
    counted = (
        alt.Chart(data)
        .mark_bar(stroke="var(--card)", strokeWidth=1)
        .encode(x=x, x2="high:Q", y=alt.Y("rows:Q", title="rows"))
    )
    drawn = {"residuals": svg(counted, "Rows by residual.", height=220)}
    if found["points"]:
        points = table(**{key: [p[key] for p in found["points"]] for key in ("prediction", "residual")})
        dots = (
            alt.Chart(points)
            .mark_point(size=14, opacity=0.5)
            .encode(
                x=alt.X("prediction:Q", scale=alt.Scale(zero=False)),
                y=alt.Y("residual:Q", title="residual (label less prediction)"),
            )
        )
        zero = alt.Chart(table(y=[0.0])).mark_rule().encode(y="y:Q")
        drawn["scatter"] = svg(zero + dots, "Residual against prediction, of rows drawn at random.", height=220)
    deciles = found["deciles"]
    each = table(x=range(1, len(deciles) + 1), mae=[d["mae"] for d in deciles])
    x = alt.X("x:O", title="tenth of the predictions, the lowest first", axis=alt.Axis(labelAngle=0))
    y = alt.Y("mae:Q", title="mean absolute error")
    drawn["deciles"] = svg(
        alt.Chart(each).mark_bar().encode(x=x, y=y), "Mean absolute error by tenth of the predictions.", height=220
    )
    return drawn


def _importance(found: Mapping[str, Any]) -> Markup:
    shown = found["features"][:_MOST_FEATURES]
    data = table(**{key: [feature[key] for feature in shown] for key in ("name", "mean", "low", "high")})
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=160))
    bars = (
        alt.Chart(data)
        .mark_bar(height={"band": 0.7})
        .encode(x=alt.X("mean:Q", title=f"loss of {found['metric']}"), y=y)
    )
    ends = alt.Chart(data).mark_rule(color="var(--ink)", strokeWidth=1.5).encode(x="low:Q", x2="high:Q", y=y)
    title = f"By how much {found['metric']} gets worse when a feature is shuffled, the most important first."
    return svg((bars + ends).properties(padding=_PADDING), title, height=max(40, 20 * len(shown)))

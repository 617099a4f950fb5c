"""The model card: what a model is for, what it was made from and how good it is, under the usual headings.

The headings are those of Mitchell et al. 2019, "Model Cards for Model Reporting". What nobody has written is said to be
missing, and where to write it; nothing is made up.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.evidence.report import NAME as EVIDENCE
from pipeline.report.figures import count, name, number, percent
from pipeline.report.sources import Run

_MISSING = "Not said. Write it in the docstring of pipeline/tasks/{task}.py, as a paragraph that begins with `{word}:`."


def card(run: Run, lineage: Mapping[str, Any]) -> str:
    """The card of a run's model, in Markdown.

    Args:
      run: which one.
      lineage: as the report has it: `docs`, `data`, `code`, `schema`.
    """
    evidence = run.json("Evaluator", "evaluation", EVIDENCE)
    paragraphs = [
        f"# Model card: {run.record['task']}",
        *("## Model details", _details(run, lineage)),
        *("## Intended use", _use(run, lineage)),
        *("## Factors", _factors(run, evidence)),
        *("## Metrics", _metrics(run, evidence)),
        *("## Evaluation data", _evaluation(evidence, lineage)),
        *("## Training data", _training(lineage)),
        *("## Ethical considerations", _ethics(run, evidence, lineage)),
        *("## Caveats and recommendations", _caveats(run, lineage)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _details(run: Run, lineage: Mapping[str, Any]) -> str:
    record, code = run.record, lineage["code"]
    lines = [f"Run {record['run_id']}, started {record['started']}, outcome: {record['outcome'].replace('_', ' ')}"]
    if record.get("pushed"):
        lines.append(f"Version {record['pushed']['version']}")
    if run.task:
        lines.append(
            f"{type(run.task.model).__name__} model, {len(run.task.features)} features, label {_text(run.task.label.name)}"
        )
    if code:
        dirty = ", with changes that are not committed" if code["dirty"] else ""
        commit = f", commit {code['commit']}{dirty}" if code["commit"] else ""
        lines.append(f"Millrace {code['version']}{commit}, code {code['digest']}")
    if lineage["overrides"]:
        lines.append("Settings of this run: " + ", ".join(f"`{_text(each, 200)}`" for each in lineage["overrides"]))
    return _list(lines)


def _use(run: Run, lineage: Mapping[str, Any]) -> str:
    question = [run.task.question] if run.task else []
    told = [*_said(lineage, "Use"), *_said(lineage, "Intended use")]
    return "\n\n".join([*question, *told]) or _missing(run, "Use")


def _factors(run: Run, evidence: Mapping[str, Any] | None) -> str:
    crosses = run.task.evaluation.crosses if run.task else ()
    if not crosses:
        return "The task names no slices, so that nothing is known of how the model does on parts of the rows."
    slices = f" {count(len(evidence['slices']))} slices were measured." if evidence else ""
    return f"Measured by {', '.join(_text(' x '.join(cross)) for cross in crosses)}.{slices}"


def _metrics(run: Run, evidence: Mapping[str, Any] | None) -> str:
    if evidence is None:
        return "None: the run has no evaluation."
    rows = ["| metric | value | interval | baseline |", "|---|---|---|---|"]
    for metric, found in evidence["metrics"].items():
        low_high = found["interval"]
        interval = f"{number(low_high[0])} to {number(low_high[1])}" if low_high else ""
        rows.append(f"| {metric} | {number(found['candidate'])} | {interval} | {number(found['baseline'])} |")
    judged = [f"{'passed' if v['passed'] else 'FAILED'}: {_text(v['name'], 200)}" for v in evidence["verdicts"]]
    forced = [f"Promoted although a gate failed: {_text(evidence['force_reason'], 300)}"] if evidence["forced"] else []
    return "\n".join(rows) + f"\n\nIntervals of {percent(evidence['confidence'])}. Gates:\n\n" + _list(judged + forced)


def _evaluation(evidence: Mapping[str, Any] | None, lineage: Mapping[str, Any]) -> str:
    if evidence is None:
        return "None."
    seen = " It also validates the training." if evidence["split"] == "eval" else ""
    return f"{count(evidence['rows'])} rows of the split {evidence['split']}.{seen}"


def _training(lineage: Mapping[str, Any]) -> str:
    data = lineage["data"]
    lines = _said(lineage, "Data")
    if data and data["rows"] is not None:
        splits = ", ".join(f"{count(split['rows'])} in {split['split']}" for split in data["splits"])
        lines.append(f"This run: {count(data['rows'])} rows: {splits}; {count(data['quarantined'])} quarantined.")
    if data:
        spans = f" Spans {data['spans'][0]} to {data['spans'][-1]}." if data["spans"] else ""
        lines.append(f"{count(data['count'])} files, fingerprint `{data['fingerprint'] or 'not known'}`.{spans}")
    return "\n\n".join(lines) or "Not known: the run read no data."


def _ethics(run: Run, evidence: Mapping[str, Any] | None, lineage: Mapping[str, Any]) -> str:
    lines = [*_said(lineage, "Ethics"), *_said(lineage, "Ethical considerations")]
    for column, models in (evidence or {"fairness": {}})["fairness"].items():
        gaps = models["candidate"]["gaps"]
        told = ", ".join(f"{gap.replace('_', ' ')} {percent(found['value'])}" for gap, found in gaps.items())
        lines.append(f"Groups of {_text(column)}: {told}.")
    if run.task and run.task.sensitive:
        lines.append(f"Sensitive columns: {', '.join(map(_text, run.task.sensitive))}.")
    return "\n\n".join(lines) or _missing(run, "Ethics")


def _caveats(run: Run, lineage: Mapping[str, Any]) -> str:
    return "\n\n".join([*_said(lineage, "Limits"), *_said(lineage, "Caveats")]) or _missing(run, "Limits")


def _said(lineage: Mapping[str, Any], word: str) -> list[str]:
    """The paragraphs of the docstring with that word."""
    return [paragraph["text"] for paragraph in lineage["docs"] if paragraph["title"].lower() == word.lower()]


def _missing(run: Run, word: str) -> str:
    return _MISSING.format(task=run.record["task"], word=word)


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _text(value: Any, length: int = 80) -> str:
    """A text that came from data, on one line, without marks that change the direction; it can't end a table or a code."""
    return name(value, length).striptags().replace("|", "\\|").replace("`", "'")

"""The data of a run: its rows, what the checks found on them, how far they are from other data, each column, the schema.

    part = collect(run)
    part["features"][0]["sets"][0]["missing"]    as in TFDV's FeatureStats.pb

Every figure is the one that a node stored: account.json of ExampleGen, FeatureStats.pb of StatisticsGen, findings.json of
DataChecks, verdict.json of DataGate. Only shares and the order are made here.
"""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.report.sections.data import cards, distances, findings, rows, schema
from pipeline.report.sections.data.facts import read
from pipeline.report.sources import Run

NAME = "data"
TITLE = "Data"
SHOWN_FINDINGS = 8
"""Findings that are open on the page; the others are behind a click."""


def collect(run: Run) -> dict[str, Any] | None:
    """What is known of a run's data, as far as it came; None where it has no rows, no statistics and no schema."""
    facts = read(run)
    if not (facts.account or facts.sets or facts.schema):
        return None
    found = findings.collect(facts)
    apart = distances.collect(facts)
    shown = cards.collect(facts, found)
    return {
        "stopped": run.record.get("outcome") == "data_blocked",
        "missing": facts.absent,
        "withheld": facts.privacy.record([column["name"] for column in shown]),
        "rows": rows.accounting(facts),
        "split": rows.audit(facts, found),
        "findings": found,
        "levels": findings.levels(found),
        "more_findings": max(0, len(found or ()) - SHOWN_FINDINGS),
        "quarantine": findings.quarantine(facts),
        "waivers": findings.waivers(facts),
        "references": facts.references,
        "distances": apart,
        "features": shown,
        "schema": schema.table(facts),
        "proposal": schema.proposal(facts),
    }


def charts(part: Mapping[str, Any]) -> dict[str, Markup]:
    """None: the histograms are drawn by the macro `bars`."""
    return {}

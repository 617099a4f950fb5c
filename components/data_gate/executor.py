"""Reads the findings, lets through what is waived, and raises DataBlocked with a sentence for each other cause."""

import datetime
import json
import logging
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.data_checks.findings import DAY, FILE, Finding, from_json
from components.data_gate.verdict import write
from pipeline.checks import ALWAYS, Waiver, read_waivers
from pipeline.errors import DataBlocked, summarise

VERDICT = "verdict.json"
_WAIVER_DAYS = 14
_ROW_CHECKS = ("bad_rows", "quarantined_rows")


class Executor(base_executor.BaseExecutor):
    """Opens, and says for which data; or raises."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Judges the findings.

        Raises:
          DataBlocked: a finding of severity "fail" that no waiver covers.
        """
        (source,) = input_dict["findings"]
        quarantine = next((artifact.uri for artifact in input_dict.get("quarantine", ())), "")
        held, expired = read_waivers(exec_properties["waivers_today"])
        today = datetime.datetime.now(datetime.UTC).date()
        # A compiled pipeline may run long after it was built.
        expired += [waiver for waiver in held if not waiver.holds(today)]
        held = [waiver for waiver in held if waiver.holds(today)]
        text = fileio.open(f"{source.uri}/{FILE}", "rb").read().decode()
        findings = waived(from_json(text), held)
        for found in findings:
            if found.severity != "ignore":
                logging.warning("%s: %s", found.severity, sentence(found, quarantine, expired, today))
        causes = [sentence(found, quarantine, expired, today) for found in findings if found.severity == "fail"]
        if causes:
            told = with_root(summarise(causes), exec_properties["root"])
            rest = f": {source.uri}/{FILE}" if told.count("\n") + 1 != len(causes) else ""
            raise DataBlocked(f"The data gate of task {exec_properties['task']!r} stopped the run:\n{told}{rest}")
        verdict = artifact_utils.get_single_instance(output_dict["verdict"])
        io_utils.write_string_file(
            f"{verdict.uri}/{VERDICT}",
            json.dumps({"findings": [asdict(found) for found in findings]}, indent=1, ensure_ascii=False) + "\n",
        )
        write(verdict, input_dict)


def with_root(text: str, root: str) -> str:
    """The `millrace` commands in a text, with the folder of the runs that they are about."""
    return re.sub(r"millrace schema \w+ --task \w+", rf"\g<0> --root {shlex.quote(root)}", text) if root else text


def waived(findings: Sequence[Finding], waivers: Sequence[Waiver]) -> list[Finding]:
    """The findings; one that a waiver covers no longer fails but warns, and carries the waiver."""
    judged = []
    for found in findings:
        cover = next((waiver for waiver in waivers if waiver.covers(found.check, found.feature)), None)
        if cover and found.severity == "fail" and found.check not in ALWAYS:
            found = replace(found, severity="warn", waiver={"reason": cover.reason, "until": cover.until})
        judged.append(found)
    return judged


def sentence(found: Finding, quarantine: str, expired: Sequence[Waiver], today: datetime.date) -> str:
    """A finding as a person reads it: what, where the rows are, why it is let through or how it could be.

    Args:
      found: the finding, waived or not.
      quarantine: folder of the quarantined rows.
      expired: waivers that no longer hold.
      today: the next step offers a waiver from this day on.
    """
    parts = [f"{found.message}. [{found.check}]"]
    if found.check in _ROW_CHECKS:
        parts.append(f"The rows: {quarantine}/rows.csv.")
    if found.waiver:
        parts.append(f"Waived until {found.waiver['until']}: {found.waiver['reason']}")
    elif found.severity == "fail":
        over = [waiver for waiver in expired if waiver.covers(found.check, found.feature)]
        parts += [f"Its waiver ended on {waiver.until} ({waiver.reason})." for waiver in over[:1]]
        until = today + datetime.timedelta(days=_WAIVER_DAYS)
        parts.append(f"Next: {found.next.replace(DAY, until.isoformat())}")
    return " ".join(parts)

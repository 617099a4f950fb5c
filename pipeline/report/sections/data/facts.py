"""What the nodes before the data gate left, read once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_checks.facts import columns_of
from components.data_checks.findings import FILE, from_json
from components.data_gate.executor import VERDICT, waived
from pipeline import schema as schemas
from pipeline.checks import read_waivers, waivers_today
from pipeline.report.privacy import Privacy
from pipeline.report.sources import Run

Feature: TypeAlias = statistics_pb2.FeatureNameStatistics
REQUESTS = "requests"
"""The one split of logged requests, and the folder of their statistics beside findings.json."""
_STATES = {
    "failed": "failed",
    "blocked": "stopped the run",
    "stopped": "was stopped with the run",
    "not_run": "has not run",
    "skipped": "was left out of this run",
    "done": "left none, or its files are gone",
    "cached": "left none, or its files are gone",
}
_SETS = {"previous": "previous", "served": "served", "serving_log": REQUESTS}


@dataclass(frozen=True)
class Set:
    """Statistics of some rows.

    Attributes:
      name: train, eval or test; of the previous data's or the served model's train split, previous or served; requests.
      present: whether they are rows of this run.
      rows: how many.
      columns: column -> TFDV's statistics.
    """

    name: str
    present: bool
    rows: int
    columns: Mapping[str, Feature]


@dataclass(frozen=True)
class Facts:
    """What a report on data is made from.

    Attributes:
      run: the run.
      privacy: what is withheld.
      account: account.json of ExampleGen; empty where there is none.
      sets: statistics, those of this run first.
      findings: of the gate's verdict, or of the checks with the task's waivers where the gate has not opened; None where
        no check ran.
      measured: distances that the checks took.
      references: the data that was compared with: what, name, span, rows.
      schema: that the rows were read by, or None.
      absent: sentences on what there is not, and why.
    """

    run: Run
    privacy: Privacy
    account: Mapping[str, Any] = field(default_factory=dict)
    sets: Sequence[Set] = ()
    findings: Sequence[Mapping[str, Any]] | None = None
    measured: Sequence[Mapping[str, Any]] = ()
    references: Sequence[Mapping[str, Any]] = ()
    schema: schema_pb2.Schema | None = None
    absent: Sequence[str] = ()

    @property
    def roles(self) -> Mapping[str, str]:
        """Column -> what the task uses it for."""
        return self.run.task.columns if self.run.task else {}


def read(run: Run) -> Facts:
    """Reads what a run left about its data; what can't be read is named in `absent`."""
    absent: list[str] = []
    account = run.json("ExampleGen", "quarantine", "account.json") or {}
    checked = run.json("DataChecks", "findings", FILE)
    present = list(_present(run, absent))
    references = [] if checked is None else list(checked["references"].items())
    earlier = [found for what, entry in references if entry for found in _reference(run, what, entry, absent)]
    uri = run.uri("SchemaGen", "schema")
    schema = schemas.read(uri / "schema.pbtxt") if uri and (uri / "schema.pbtxt").is_file() else None
    if not account:
        absent.append(_why(run, "ExampleGen", "account of the rows"))
    if not present:
        absent.append(_why(run, "StatisticsGen", "statistics of the columns"))
    if checked is None:
        absent.append(_why(run, "DataChecks", "findings and distances"))
    if schema is None:
        absent.append(_why(run, "SchemaGen", "schema"))
    return Facts(
        run=run,
        privacy=Privacy(run.task),
        account=account,
        sets=[*present, *earlier],
        findings=None if checked is None else _judged(run, checked),
        measured=[] if checked is None else checked["measured"],
        references=[{"what": _SETS[what], **entry} for what, entry in references if entry],
        schema=schema,
        absent=absent,
    )


def statistics(file: Path) -> statistics_pb2.DatasetFeatureStatistics:
    """The statistics in a FeatureStats.pb.

    Raises:
      OSError: it can't be read.
      DecodeError: it is no such file.
    """
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets[0]


def _present(run: Run, absent: list[str]) -> Iterator[Set]:
    folder = run.uri("StatisticsGen", "statistics")
    if folder is None:
        return
    order = {name: at for at, name in enumerate(("train", "eval", "test"))}
    found = {path.name.removeprefix("Split-"): path for path in folder.glob("Split-*")}
    for split in sorted(found, key=lambda name: (order.get(name, len(order)), name)):
        yield from _set(split, found[split], absent, present=True)


def _reference(run: Run, what: str, entry: Mapping[str, Any], absent: list[str]) -> Iterator[Set]:
    """Of earlier data the train split; of logged requests what the checks kept of them."""
    if what == "serving_log":
        folder = (run.uri("DataChecks", "findings") or Path()) / REQUESTS
        if not folder.exists():
            absent.append("The statistics of the logged requests were not kept: only their distances are shown.")
            return
    else:
        folder = Path(str(entry["uri"]).removeprefix("file://")) / "Split-train"
    yield from _set(_SETS[what], folder, absent, present=False)


def _set(name: str, folder: Path, absent: list[str], *, present: bool) -> Iterator[Set]:
    try:
        dataset = statistics(folder / "FeatureStats.pb")
    except (OSError, DecodeError, IndexError):
        absent.append(f"Statistics that are gone or can't be read: {name}.")
        return
    yield Set(name, present, int(dataset.num_examples), columns_of(dataset))


def _judged(run: Run, checked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    verdict = run.json("DataGate", "verdict", VERDICT)
    if verdict is not None:
        return verdict["findings"]
    if run.task is None:
        return checked["findings"]
    held, _ = read_waivers(waivers_today(run.task.checks, day_of(run).date()))
    return [asdict(found) for found in waived(from_json(json.dumps(checked)), held)]


def day_of(run: Run) -> datetime:
    """When a run began; now where its record does not say."""
    started = run.record.get("started")
    return datetime.fromisoformat(started) if started else datetime.now(UTC)


def _why(run: Run, node: str, what: str) -> str:
    """Why a node left nothing."""
    entry = (run.record.get("nodes") or {}).get(node)
    state = _STATES.get(entry["state"], entry["state"]) if entry else "was not part of this run"
    return f"No {what}: {node} {state}."

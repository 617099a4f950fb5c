"""A proposal: the changes that a run's data call for, kept beside the run so that what is accepted is what was reviewed.

    runs/<run_id>/schema_proposal.json     the changes, and the digest of the schema that they are to
    runs/<run_id>/schema_proposal.pbtxt    the schema as plain `accept` would write it

Changes that look like errors are left out unless they are asked for.
"""

import dataclasses
import difflib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.errors import MillraceError, UsageError, nearest
from pipeline.ingest.columns import of_schema
from pipeline.schema import curated, digest, parse, read, text_of, write
from pipeline.schema_cycle.apply import apply
from pipeline.schema_cycle.changes import Change, changes
from pipeline.schema_cycle.evidence import gather
from pipeline.schema_cycle.others import others
from pipeline.schema_cycle.pbtxt import rewrite
from pipeline.task import Task

NAME = "schema_proposal"


@dataclass(frozen=True)
class Proposal:
    """What a run's data call for.

    Attributes:
      task: its name.
      run_id: of the run.
      schema: SHA-256 of the schema's file.
      rows: of the run.
      quarantined: of these.
      changes: that would let the run's rows pass.
      others: what no change of the schema settles; each has what, rows, example and next.
    """

    task: str
    run_id: str
    schema: str
    rows: int
    quarantined: int
    changes: tuple[Change, ...]
    others: tuple[Mapping[str, Any], ...] = ()


def propose(task: Task, record: Mapping[str, Any]) -> Proposal:
    """What a run's data call for.

    Args:
      task: of the run.
      record: its run.json.

    Raises:
      UsageError: the task has no curated schema, or the run no data.
    """
    path = curated(task.name)
    schema = read(path)
    evidence = gather(record, of_schema(schema))
    found = changes(task, schema, evidence)
    settled = {(change.column, change.kind) for change in found}
    return Proposal(
        task=task.name,
        run_id=record["run_id"],
        schema=digest(path),
        rows=evidence.rows,
        quarantined=int(evidence.account.get("quarantined", 0)),
        changes=tuple(found),
        others=tuple(others(task, evidence, settled)),
    )


def save(folder: Path, proposal: Proposal) -> None:
    """Writes a proposal into a run's folder; one without changes only takes an older one away."""
    if not proposal.changes:
        for suffix in ("json", "pbtxt"):
            (folder / f"{NAME}.{suffix}").unlink(missing_ok=True)
        return
    path = curated(proposal.task)
    write(folder / f"{NAME}.pbtxt", changed(path, sound(proposal.changes)))
    write(folder / f"{NAME}.json", json.dumps(as_json(proposal), indent=1, ensure_ascii=False) + "\n")


def as_json(proposal: Proposal) -> dict[str, Any]:
    """A proposal as plain values."""
    return dataclasses.asdict(proposal)


def load(folder: Path, again: str) -> Proposal:
    """The proposal in a run's folder.

    Args:
      folder: of the run.
      again: the command that makes the proposal.

    Raises:
      UsageError: there is none, or it is broken.
    """
    path = folder / f"{NAME}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["changes"] = tuple(
            Change(**{**change, "examples": tuple(change["examples"]), "doubts": tuple(change["doubts"])})
            for change in content["changes"]
        )
        return Proposal(**{**content, "others": tuple(content["others"])})
    except FileNotFoundError as error:
        raise UsageError(f"run {folder.name} has no proposal. Next: {again}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} can't be read: {error}. Next: {again}") from error


def sound(among: Iterable[Change]) -> list[Change]:
    """The changes that do not look like errors."""
    return [change for change in among if not change.doubts]


def chosen(
    proposal: Proposal, only: Sequence[str] = (), but: Sequence[str] = (), *, doubtful: bool = False
) -> list[Change]:
    """The changes to accept.

    Args:
      proposal: as it was reviewed.
      only: these, each a column or a change's `choice`; empty for all.
      but: not these.
      doubtful: those too that look like errors.

    Raises:
      UsageError: a name fits no change, or nothing is left.
    """
    known = {asked for change in proposal.changes for asked in (change.column, change.choice)}
    for name in (*only, *but):
        if not any(change.names(name) for change in proposal.changes):
            raise UsageError(f"the proposal of run {proposal.run_id} has no change of {name!r}.{nearest(name, known)}")
    asked = [change for change in proposal.changes if (not only or _named(change, only)) and not _named(change, but)]
    taken = asked if doubtful else sound(asked)
    if not asked:
        raise UsageError("nothing to accept: --except leaves none of the changes. Next: name fewer")
    if not taken:
        which = (
            "the only change chosen looks like an error" if len(asked) == 1 else f"all {len(asked)} look like errors"
        )
        raise UsageError(
            f"nothing to accept: {which} in the data. Next: mend the data, or add --doubtful if it is right"
        )
    return taken


def changed(path: Path, made: Collection[Change]) -> str:
    """The text of a schema with some changes made.

    Raises:
      UsageError: the file can't be read, or lacks a column that is to be changed.
    """
    text = text_of(path)
    schema = parse(text, path)
    known = {feature.name for feature in schema.feature}
    new = schema_pb2.Schema()
    new.CopyFrom(schema)
    blocks = {}
    for change in made:
        if change.kind == "new":
            blocks[change.column] = change.settings["feature"]
            if change.column in known:
                continue
        elif change.column not in known:
            raise UsageError(f"schema: {path} has no column {change.column!r}.{nearest(change.column, known)}")
        try:
            apply(new, change.kind, change.column, change.settings)
        except (KeyError, ValueError, TypeError, text_format.ParseError) as error:
            raise MillraceError(
                f"the proposal's change of {change.column!r} can't be made: {error}. Next: propose again"
            ) from error
    return rewrite(text, new, blocks)


def unchanged_since(proposal: Proposal, path: Path, again: str) -> None:
    """Raises UsageError where the schema's file is not the one that the proposal was made for.

    Args:
      proposal: as it was reviewed.
      path: of the schema.
      again: the command that makes the proposal.
    """
    if digest(path) != proposal.schema:
        raise UsageError(
            f"{path} changed since the proposal of run {proposal.run_id} was made: what was reviewed may not be what "
            f"would be written. Next: {again}"
        )


def diff(path: Path, new: str) -> str:
    """What differs between a file and a new text, as `git diff` shows it; empty where nothing does."""
    old, now = text_of(path).splitlines(), new.splitlines()
    shown = []
    # Not difflib.unified_diff: it takes lines that repeat, such as those of value_count, for noise.
    for group in difflib.SequenceMatcher(None, old, now, autojunk=False).get_grouped_opcodes(3):
        (_, old_start, _, new_start, _), (*_, old_end, _, new_end) = group[0], group[-1]
        shown.append(f"@@ -{old_start + 1},{old_end - old_start} +{new_start + 1},{new_end - new_start} @@")
        for tag, i, j, k, m in group:
            if tag == "equal":
                shown += [f" {line}" for line in old[i:j]]
            else:
                shown += [*(f"-{line}" for line in old[i:j]), *(f"+{line}" for line in now[k:m])]
    return "\n".join([f"--- {path}", f"+++ {path}", *shown] if shown else [])


def _named(change: Change, names: Sequence[str]) -> bool:
    return any(change.names(name) for name in names)

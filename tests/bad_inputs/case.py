"""A case of the corpus, and the four kinds of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.rows import RowRules
from pipeline.splits import HashSplit, Split
from tests.bad_inputs.build import Build


@dataclass(frozen=True)
class Case:
    """One broken input.

    Attributes:
      name: what is wrong.
      build: writes it into a folder and gives the source.
      verdict: clean, quarantine, stop or error.
      ids: of the rows that pass.
      bad: (line or record, rule) of the rows that do not, in the order of files and lines.
      message: part of the message of a stop or error, or of each quarantined row's.
      also: more parts of it.
      rules: of the task.
      required: whether `fare` may not be missing.
      split: of the task.
      window: how many spans.
      during: is called with the folder while the file is being read.
      new: columns that the schema does not know.
      gone: columns of the schema that are not there.
    """

    name: str
    build: Build
    verdict: Literal["clean", "quarantine", "stop", "error"]
    ids: tuple[int, ...] = ()
    bad: tuple[tuple[int, str], ...] = ()
    message: str = ""
    also: tuple[str, ...] = ()
    rules: RowRules = field(default_factory=RowRules)
    required: bool = False
    split: Split = field(default_factory=HashSplit)
    window: int = 1
    during: Callable[[Path], object] | None = None
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def clean(name: str, build: Build, *ids: int, **more: object) -> Case:
    """A case that looks odd and is not."""
    return Case(name, build, "clean", ids or (1, 2, 3), **more)  # type: ignore[arg-type]


def quarantine(
    name: str, build: Build, ids: tuple[int, ...], bad: tuple[tuple[int, str], ...], message: str, **more: object
) -> Case:
    """A case in which rows are kept out."""
    return Case(name, build, "quarantine", ids, bad, message, **more)  # type: ignore[arg-type]


def stop(name: str, build: Build, message: str, *also: str, **more: object) -> Case:
    """A case that stops the run, with exit code 10."""
    return Case(name, build, "stop", message=message, also=also, **more)  # type: ignore[arg-type]


def error(name: str, build: Build, message: str, *also: str, **more: object) -> Case:
    """A case in which a path or a flag is wrong: exit code 2."""
    return Case(name, build, "error", message=message, also=also, **more)  # type: ignore[arg-type]

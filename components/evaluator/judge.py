"""From what the models say of all rows to the evidence, and to the files that TFMA reads."""

import base64
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.by_shard import Form
from components.evaluator import results
from components.evaluator.part import Part, joined
from pipeline.evidence import report
from pipeline.evidence.standing import Standing
from pipeline.task import Task
from serving.errors import Code, ServingError


@dataclass(frozen=True)
class Judged:
    """What came of it.

    Attributes:
      evidence: see `pipeline.evidence.report.report`.
      files: name -> content, in the folder that `tfma.load_eval_result` is to read.
      failed: why the candidate does not answer, as ServingError's code and message; then there is nothing else.
    """

    evidence: dict[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    failed: tuple[int, str] | None = None

    def checked(self) -> "Judged":
        """Itself.

        Raises:
          ServingError: the candidate does not answer.
        """
        if self.failed:
            raise ServingError(Code(self.failed[0]), self.failed[1])
        return self


@dataclass(frozen=True)
class Judge:
    """A function of all parts, that travels: the columns of all rows are in memory where it is called.

    Attributes:
      task: whose evaluation it is.
      standing: of the baseline, where no part refuses it.
      split: that measures.
      force: why a candidate is to be promoted even where gates fail; "" where it is not.
      paths: model -> where it is, for the record.
    """

    task: Task
    standing: Standing
    split: str
    force: str
    paths: Mapping[str, str]

    def __call__(self, parts: Iterable[Part]) -> Judged:
        """Measures and judges.

        Args:
          parts: in the order of the rows.

        Raises:
          DataBlocked: there is no row.
        """
        try:
            columns, standing = joined(parts, self.standing)
        except ServingError as error:
            return Judged(failed=(int(error.code), error.message))
        found = report.measure(self.task, columns)
        with tempfile.TemporaryDirectory(prefix="millrace-") as folder:
            results.write(self.task, columns, found, self.paths, folder)
            written = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
        return Judged(report.report(self.task, columns, standing, self.split, self.force, found), written)


def _dumped(judged: Judged) -> bytes:
    written = {name: base64.b64encode(content).decode() for name, content in judged.files.items()}
    return json.dumps([judged.evidence, written, judged.failed]).encode()


def _loaded(stored: bytes) -> Judged:
    evidence, written, failed = json.loads(stored)
    return Judged(
        evidence, {name: base64.b64decode(content) for name, content in written.items()}, failed and tuple(failed)
    )


FORM: Form[Judged] = Form(_dumped, _loaded)

"""What a batch prediction is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.task import Task


@dataclass(frozen=True)
class Request:
    """One batch prediction.

    Attributes:
      task: whose model answers; its schema says which values a row must have.
      data: file, folder or pattern of rows; the label is not needed.
      out: where the answers go: a file, by suffix, or a folder of shards.
      model: folder of the SavedModel.
      version: what is written as `model_version`.
      keys: input columns to write; None writes where a row came from and all columns but images.
      format: of the shards of a folder.
      max_errors: share of rows with an error above which the prediction counts as failed; what is answered is written
        all the same.
      overwrite: whether an earlier prediction of this name is replaced.
      beam_args: Beam's options.
      staging: place in a bucket for what workers write, who don't see the folders of this machine; None where they do.
        An `out` in a bucket has one of its own.
    """

    task: Task
    data: str
    out: str
    model: str
    version: str
    keys: tuple[str, ...] | None = None
    format: Literal["parquet", "csv"] = "parquet"
    max_errors: float = 0.01
    overwrite: bool = False
    beam_args: Sequence[str] = ("--runner=FnApiRunner",)
    staging: str | None = None

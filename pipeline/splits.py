"""How rows are divided into the splits train, eval and, where asked for, test."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.errors import TaskError

NAMES = ("train", "eval", "test")


@dataclass(frozen=True)
class HashSplit:
    """By a hash of the row, or of some of its columns: stable from run to run, and when rows are appended.

    Attributes:
      train: parts for training.
      eval: parts for evaluation; train=2, eval=1 gives two thirds and one third.
      test: parts held out from both.
      by: columns of an entity, such as a customer: all rows of one are in the same split. Empty: the whole row.
    """

    train: int = 2
    eval: int = 1
    test: int = 0
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.by, tuple):
            raise TaskError(f"split: by: expected a tuple, such as by=({self.by!r},). Received: {self.by!r}")
        if self.train <= 0 or self.eval <= 0 or self.test < 0:
            raise TaskError(
                "split: expected whole parts, at least 1 of train and eval. "
                f"Received: train={self.train}, eval={self.eval}, test={self.test}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that there are."""
        return NAMES if self.test else NAMES[:2]


@dataclass(frozen=True)
class TimeSplit:
    """By time: what is earlier trains, what is later evaluates. Stable, as the borders are fixed.

    Attributes:
      column: holds the time: seconds since 1970 as a number, or ISO 8601 text (as of one and the same offset).
      eval_from: the first moment of the eval split, as ISO 8601, UTC where it has no offset.
      test_from: the first moment of the test split, or None.
    """

    column: str
    eval_from: str
    test_from: str | None = None

    def __post_init__(self) -> None:
        borders = self.borders
        if any(later <= earlier for earlier, later in itertools.pairwise(borders)):
            raise TaskError(f"split: expected eval_from before test_from. Received: {self.eval_from}, {self.test_from}")

    @property
    def borders(self) -> tuple[float, ...]:
        """Seconds since 1970 at which the splits after the first begin."""
        return tuple(seconds(text) for text in (self.eval_from, self.test_from) if text is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that there are."""
        return NAMES if self.test_from else NAMES[:2]


@dataclass(frozen=True)
class SpanSplit:
    """By span: the newest ones of the window evaluate, the others train.

    Attributes:
      eval: how many spans evaluate.
      test: how many, newer still, are held out.
    """

    eval: int = 1
    test: int = 0

    def __post_init__(self) -> None:
        if self.eval <= 0 or self.test < 0:
            raise TaskError(f"split: expected eval of 1 or more. Received: eval={self.eval}, test={self.test}")

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that there are."""
        return NAMES if self.test else NAMES[:2]


@dataclass(frozen=True)
class FolderSplit:
    """By folder: the source's path holds a folder for each split.

    Data that comes as train and test, such as MNIST, has no rows to choose settings by: `FolderSplit(eval=None,
    test="test")` takes these out of the folder train, by a hash of the row, and leaves the folder test alone.

    Attributes:
      train: its name.
      eval: its name, or None.
      test: its name, or None.
      train_parts: of the rows in the folder train, where eval has no folder: those that stay.
      eval_parts: those that become eval; train_parts=9, eval_parts=1 gives a tenth.
    """

    train: str = "train"
    eval: str | None = "eval"
    test: str | None = None
    train_parts: int = 9
    eval_parts: int = 1

    def __post_init__(self) -> None:
        named = list(self.folders.values())
        if not self.train or len(set(named)) < len(named):
            raise TaskError(
                "split: expected a folder of its own for each split. "
                f"Received: train={self.train!r}, eval={self.eval!r}, test={self.test!r}"
            )
        if self.train_parts <= 0 or self.eval_parts <= 0:
            raise TaskError(
                "split: expected whole parts, at least 1 of train and eval. "
                f"Received: train_parts={self.train_parts}, eval_parts={self.eval_parts}"
            )

    @property
    def folders(self) -> dict[str, str]:
        """Split -> folder, of those that have one."""
        return {name: folder for name in NAMES if (folder := getattr(self, name))}

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that there are."""
        return NAMES if self.test else NAMES[:2]


Split = HashSplit | TimeSplit | SpanSplit | FolderSplit


def seconds(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or time, UTC where it has no offset.

    Raises:
      TaskError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise TaskError(f"split: expected an ISO 8601 time, such as 2026-11-20. Received: {text!r}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

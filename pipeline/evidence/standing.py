"""Whether there is a baseline, and whether a candidate can be compared with it."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["none", "compared", "missing", "unloadable", "other_label", "unreadable"]
_NEXT = "so that nothing is known of the difference. Next: find out why, or --force-promote REASON"


@dataclass(frozen=True)
class Standing:
    """Of the baseline.

    Rules that compare pass without one (`none`, a first run), look at the difference (`compared`), and fail in every other
    case: where something is served that the candidate can't be compared with, nobody can say that it is no worse.

    Attributes:
      status: which case it is.
      detail: what was found; "" where there is nothing to add.
      uri: of the baseline's Model artifact, or "".
    """

    status: Status
    detail: str = ""
    uri: str = ""

    @property
    def comparable(self) -> bool:
        """Whether differences are known."""
        return self.status == "compared"

    @property
    def first(self) -> bool:
        """Whether this is a first run."""
        return self.status == "none"

    @property
    def said(self) -> str:
        """The case in words, as a part of a sentence."""
        words = {
            "none": "as there is no baseline to compare with on a first run",
            "compared": "compared with the baseline on the same rows",
            "missing": f"as the baseline is not there any more, {_NEXT}",
            "unloadable": f"as the baseline does not load, {_NEXT}",
            "other_label": f"as the baseline predicts another label, {_NEXT}",
            "unreadable": f"as the baseline can't answer to these rows, {_NEXT}",
        }[self.status]
        return f"{words} ({self.detail})" if self.detail else words

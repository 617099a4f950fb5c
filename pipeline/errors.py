"""Errors that a user reads: one clear message, an exit code, no traceback.

Raise `MillraceError` (or a subclass) for anything that the user can act on; anything else that escapes is a defect of
ours, and its traceback goes to the log of the run.
"""

import difflib
from collections.abc import Iterable, Sequence
from enum import IntEnum

_EXAMPLES = 5


class ExitCode(IntEnum):
    """What a scheduler reads."""

    PUSHED = 0
    FAILED = 1
    USAGE = 2
    DATA_BLOCKED = 10
    NOT_BLESSED = 11
    SERVING_BLOCKED = 12


class MillraceError(Exception):
    """A failure with a message for the user.

    The message says what is wrong, what was expected and received, and the next step.
    """

    exit_code = ExitCode.FAILED


class UsageError(MillraceError):
    """A flag, a setting or a path is wrong: nothing was started."""

    exit_code = ExitCode.USAGE


class TaskError(UsageError):
    """A task's definition contradicts itself or its schema."""


class DataBlocked(MillraceError):
    """The data gate stopped the run."""

    exit_code = ExitCode.DATA_BLOCKED


class ExportError(MillraceError):
    """The exported model does not answer as the trained one."""


ERRORS = {error.exit_code: error for error in (MillraceError, UsageError, DataBlocked)}
"""Exit code -> the class that carries it from one process to another."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Lists the choices and, where one is close, offers it: ` Did you mean 'taxi_tips'? Known: …`."""
    known = sorted(choices)
    return f"{hint(name, known)} Known: {', '.join(known) or 'none'}."


def hint(name: str, choices: Iterable[str]) -> str:
    """Offers the choice that is close, or nothing: ` Did you mean 'taxi_tips'?`."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def summarise(problems: Sequence[str]) -> str:
    """Joins problems, one a line, at most five, and counts the rest."""
    shown = [f"  - {problem}" for problem in problems[:_EXAMPLES]]
    rest = len(problems) - _EXAMPLES
    return "\n".join([*shown, f"  - and {rest} more"] if rest > 0 else shown)


def raise_all(error: type[MillraceError], title: str, problems: Sequence[str]) -> None:
    """Raises one error for all problems, or returns when there are none.

    Raises:
      MillraceError: of the class given, with `title` and at most five problems.
    """
    if problems:
        raise error(f"{title}\n{summarise(problems)}")

"""Files that a command was asked for, and what it says of them."""

import os
from pathlib import Path

from rich.text import Text

from pipeline.errors import UsageError
from pipeline.terminal import console


def write(path: Path, text: str) -> None:
    """Writes a file, and says so; a temporary name and a rename keep a reader from half of it.

    Raises:
      UsageError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"--output: {path} can't be written: {error.strerror}") from error
    say(f"written {path}")


def say(text: str) -> None:
    """A line for people, beside what a command prints."""
    console(stderr=True).print(Text(text), soft_wrap=True)

"""What an image says of itself: its version, and a fingerprint of the code in it.

A compiled spec holds the fingerprint of the code that it was compiled from. Each container compares it with its own
before it does anything, so that a spec of today never runs on the image of last week.

    python -m pipeline.image                   {"version": "0.1.0", "code": "6f1c…"}
    python -m pipeline.image --expect 6f1c…    the same, or exit code 2 where the code is another
"""

import hashlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pipeline import fingerprint as fingerprints
from pipeline.errors import UsageError
from pipeline.terminal import console, print_json

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the project's packages: a checkout, or the `site-packages` of an installed wheel."""

_FOLDERS = ("pipeline", "components", "serving", "schemas")
_KINDS = (".py", ".pbtxt", ".j2", ".js", ".css")


def files(root: Path = ROOT) -> Iterator[Path]:
    """The files that decide what a run does, in order: modules, templates and curated schemas.

    What an editor or the interpreter leaves beside them (`__pycache__`, hidden files, other kinds) is not among them, so
    a checkout in which somebody works has the same as the wheel that is built from it.

    Args:
      root: the folder that holds the packages.
    """
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*"), key=lambda path: path.relative_to(root).parts):
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if path.suffix in _KINDS and not hidden and path.is_file():
                yield path


def fingerprint(root: Path = ROOT) -> str:
    """A digest of the project's own code, and of the versions of the libraries that do the work.

    Names and bytes count; times, owners and the folder do not. It is the same for a checkout and for the wheel that is
    built from it.

    Args:
      root: the folder that holds the packages.

    Returns:
      16 hexadecimal digits.
    """
    code = hashlib.sha256()
    for path in files(root):
        name, content = path.relative_to(root).as_posix().encode(), path.read_bytes()
        code.update(b"%d:%s%d:" % (len(name), name, len(content)))  # so that no two trees give the same bytes
        code.update(content)
    return fingerprints.of(settings=code.hexdigest())


def version() -> str:
    """The project's version, as installed."""
    return importlib.metadata.version("millrace")


def check(expected: str, compiled_by: str | None = None) -> None:
    """Compares the running code with that which a spec was compiled from.

    Args:
      expected: fingerprint in the spec.
      compiled_by: version of the project that compiled it, for the message.

    Raises:
      UsageError: the running code is another.
    """
    received = fingerprint()
    if expected != received:
        source = f"compiled by millrace {compiled_by}" if compiled_by else "the spec says"
        raise UsageError(
            "image: the code in it is not that which the spec was compiled from. "
            f"Expected code {expected or 'none'}, as {source}. "
            f"Received: {received}, of millrace {version()}. "
            "Next: build and push the image of this checkout (make image && make push), or compile again"
        )


def main(
    expect: Annotated[str | None, typer.Option(metavar="CODE", help="The fingerprint that the code must have.")] = None,
) -> None:
    """Prints the version and the code's fingerprint as JSON."""
    try:
        if expect is not None:
            check(expect)
    except UsageError as error:
        console(stderr=True).print(Text(f"error {error}"), soft_wrap=True)
        raise typer.Exit(int(error.exit_code)) from error
    print_json({"version": version(), "code": fingerprint()})


if __name__ == "__main__":
    typer.run(main)

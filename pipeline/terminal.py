"""The terminal: one way to make a console, to print rows and to print JSON."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_FILE_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """A console; wide where the output is a file, a pipe or a scheduler's log."""
    found = Console(stderr=stderr, highlight=False)
    if not found.is_terminal:
        found.width = max(found.width, _FILE_WIDTH)
    return found


def print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Rows with the same keys, as a table or as JSON."""
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for column in rows[0] if rows else ():
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    console().print(table if rows else "none")


def print_json(value: Any) -> None:
    """JSON on standard output, whatever the console does."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")

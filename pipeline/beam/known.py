"""The options that Beam's own parser knows. Loads apache_beam, which takes a second or two."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_EVERYWHERE = ("S3Options", "AzureOptions", "HadoopFileSystemOptions", "DirectOptions")


@dataclass(frozen=True)
class Option:
    """One of Beam's.

    Attributes:
      flag: as Beam takes it: `--temp_location`.
      is_switch: whether it takes no value.
      repeats: whether it may be given more than once.
      type: makes its value of a text; None takes any.
      choices: the values that there are; empty takes any.
      default: what Beam takes where none is given.
      everywhere: whether it is of files or of the in-process runner, and so is for nodes that go to no cluster, too.
    """

    flag: str
    is_switch: bool
    repeats: bool
    type: Callable[[str], Any] | None
    choices: tuple[str, ...]
    default: Any
    everywhere: bool


@functools.cache
def options() -> Mapping[str, Option]:
    """Name, without the dashes -> option."""
    from apache_beam.options import pipeline_options

    found = {}
    for group in pipeline_options.PipelineOptions.__subclasses__():
        parser = pipeline_options._BeamArgumentParser(allow_abbrev=False, add_help=False)
        group._add_argparse_args(parser)
        for flag, action in parser._option_string_actions.items():
            found[flag.lstrip("-")] = Option(
                flag=flag,
                is_switch=action.nargs == 0,
                repeats=type(action).__name__ == "_AppendAction",
                type=action.type,
                choices=tuple(map(str, action.choices or ())),
                default=action.default,
                everywhere=group.__name__ in _EVERYWHERE,
            )
    return found

"""Which data the gate let through, written on its verdict for the resolvers of later runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from tfx import types
from tfx.types import artifact_utils

_SPAN = "span"
_FINGERPRINT = "input_fingerprint"


@dataclass(frozen=True)
class Passed:
    """What a verdict is about.

    Attributes:
      statistics: id of the ExampleStatistics artifact.
      span: of the data; 0 where its path has none.
      fingerprint: what ExampleGen's driver knows the files by; "" where it does not say.
    """

    statistics: int
    span: int
    fingerprint: str


def write(verdict: types.Artifact, input_dict: dict[str, list[types.Artifact]]) -> None:
    """Names on a verdict the statistics, examples and findings that it is about.

    Args:
      verdict: the artifact to write on.
      input_dict: of the gate.
    """
    for key in ("statistics", "examples", "findings"):
        artifact = artifact_utils.get_single_instance(input_dict[key])
        verdict.set_int_custom_property(f"{key}_id", artifact.id)
        verdict.set_string_custom_property(f"{key}_uri", artifact.uri)
    verdict.set_int_custom_property(_SPAN, span_of(input_dict["examples"]))
    verdict.set_string_custom_property(_FINGERPRINT, fingerprint_of(input_dict["examples"]))


def read(verdict: types.Artifact) -> Passed:
    """What a verdict is about."""
    return Passed(
        verdict.get_int_custom_property("statistics_id"),
        verdict.get_int_custom_property(_SPAN),
        verdict.get_string_custom_property(_FINGERPRINT),
    )


def span_of(examples: Sequence[types.Artifact]) -> int:
    """The newest span of some examples; 0 where their path has none."""
    return max((artifact.span or artifact.get_int_custom_property(_SPAN) for artifact in examples), default=0)


def fingerprint_of(examples: Sequence[types.Artifact]) -> str:
    """What the files that examples were made from are known by; "" where ExampleGen does not say."""
    return "\n".join(artifact.get_string_custom_property(_FINGERPRINT) for artifact in examples)

"""What a pipeline is run with: its defaults, the job's own values, and those of the command line."""

from collections.abc import Mapping, Sequence

from google.protobuf import struct_pb2

from pipeline.errors import UsageError, nearest, raise_all
from pipeline.kubeflow.execute import values
from pipeline.kubeflow.execute.documents import Document

Parameters = dict[str, struct_pb2.Value]


def resolve(document: Document, given: Mapping[str, str]) -> Parameters:
    """The root's input parameters.

    Args:
      document: the compiled pipeline.
      given: name -> text, of the command line.

    Returns:
      A value for each; null for an optional one without any.

    Raises:
      UsageError: unknown names, values of another type, or required ones without a value; all of them.
    """
    specs = document.spec.root.input_definitions.parameters
    found: Parameters = {}
    problems = []
    for name, value in _of_job(document).items():
        if name not in specs:
            problems.append(f"runtimeConfig: no parameter {name!r}.{nearest(name, specs)}")
            continue
        try:
            found[name] = values.fitted(value, values.kind(specs[name]))
        except ValueError as error:
            problems.append(f"runtimeConfig: {name}: {error}")
    for name, text in given.items():
        if name not in specs:
            problems.append(f"--parameter: no parameter {name!r}.{nearest(name, specs)}")
            continue
        try:
            found[name] = values.parse(text, values.kind(specs[name]))
        except ValueError as error:
            problems.append(f"--parameter {name}: {error}")
            found.pop(name, None)
    named = {*given, *found}
    for name, spec in specs.items():
        if name in named:
            continue
        if spec.HasField("default_value"):
            found[name] = spec.default_value
        elif spec.is_optional:
            found[name] = values.value(None)
        else:
            kind = values.type_name(values.kind(spec))
            problems.append(f"--parameter {name}: expected a value ({kind}): the spec has no default. Received: none")
    raise_all(UsageError, f"{document.path} can't be run with these parameters:", problems)
    return found


def _of_job(document: Document) -> Parameters:
    """Those of a PipelineJob."""
    runtime = document.runtime
    old = {name: values.from_legacy(value) for name, value in runtime.parameters.items()}
    return {**old, **dict(runtime.parameter_values.items())}


def pairs(flag: str, written: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE`, as often as given.

    Raises:
      UsageError: one has no `=`, no name, or the name of another.
    """
    found: dict[str, str] = {}
    problems = []
    for each in written:
        name, equals, text = each.partition("=")
        if not equals or not name:
            problems.append(f"expected NAME=VALUE. Received: {name!r}")
        elif name in found:
            problems.append(f"{name} is given twice")
        found[name] = text
    raise_all(UsageError, f"{flag}:", problems)
    return found

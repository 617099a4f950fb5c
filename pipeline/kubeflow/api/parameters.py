"""Parameters of a run: `--parameter NAME=VALUE`, by the names and types that the compiled file declares.

--parameter span=7 --parameter cache=false --parameter 'overrides=["training.steps=500"]'
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.errors import UsageError, hint, raise_all
from pipeline.kubeflow.api.package import Package


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _json(kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, kind):
            raise TypeError
        return value

    return parse


_TYPES: dict[str, tuple[Callable[[str], Any], str]] = {
    "STRING": (str, "text"),
    "NUMBER_INTEGER": (int, "a whole number"),
    "NUMBER_DOUBLE": (_number, "a number"),
    "BOOLEAN": (_boolean, "true or false"),
    "LIST": (_json(list), 'a JSON list, e.g. ["training.steps=500"]'),
    "STRUCT": (_json(dict), "a JSON object"),
}


def parse(package: Package, given: Sequence[str]) -> dict[str, Any]:
    """Turns `NAME=VALUE` texts into the values of a run.

    Returns:
      Name -> value of what was given; the file's defaults stay in the file.

    Raises:
      UsageError: all that is wrong at once: names, types, a name given twice, one that is missing.
    """
    declared = package.parameters
    values: dict[str, Any] = {}
    problems = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            problems.append(f"Expected: NAME=VALUE. Received: {text!r}")
        elif name not in declared:
            problems.append(f"{name!r} is not a parameter of this pipeline.{hint(name, declared)}")
        elif name in values:
            problems.append(f"{name} is given twice")
        else:
            kind = str(declared[name].get("parameterType", "STRING"))
            read, expected = _TYPES.get(kind, _TYPES["STRING"])
            try:
                values[name] = read(value)
            except (ValueError, TypeError, KeyError):
                problems.append(f"{name} is {kind}. Expected: {expected}. Received: {name}={value}")
    problems += [
        f"{name} has no default: give --parameter {name}=…"
        for name, declaration in declared.items()
        if name not in values and "defaultValue" not in declaration and not declaration.get("isOptional")
    ]
    known = ", ".join(sorted(declared)) or "none"
    raise_all(UsageError, f"parameter: {package.path} has the parameters {known}.", problems)
    return values

"""Conditions and selectors of a spec, in the Common Expression Language (CEL)."""

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

from pipeline.kubeflow.execute import values
from pipeline.kubeflow.execute.failure import TaskFailed

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "_==_": operator.eq,
    "_!=_": operator.ne,
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}


def holds(condition: str, inputs: Any) -> bool:
    """Whether a task is to run.

    Args:
      condition: such as `int(inputs.parameter_values['rows']) > 3`.
      inputs: ExecutorInput.Inputs.

    Raises:
      TaskFailed: it can't be judged.
    """
    fields = json_format.MessageToDict(inputs, preserving_proto_field_name=True)
    for key in ("parameters", "parameter_values", "artifacts"):
        fields.setdefault(key, {})
    found = _evaluate(condition, {"inputs": fields, "outputs": {}})
    if not isinstance(found, bool):
        raise TaskFailed(f"the condition {condition!r} is neither true nor false, but {found!r:.100}")
    return found


def select(selector: str, value: struct_pb2.Value) -> struct_pb2.Value:
    """A part of a parameter's value, such as `parseJson(string_value)["rows"]`.

    Raises:
      TaskFailed: there is none.
    """
    fields: dict[str, Any] = {"string_value": values.text(value)}
    which = value.WhichOneof("kind")
    if which not in (None, "string_value"):
        fields[which] = json_format.MessageToDict(value)
    return values.value(_evaluate(selector, fields))


def _evaluate(expression: str, fields: Mapping[str, Any]) -> Any:
    """The plain value of an expression.

    All numbers are doubles, as in the proto; comparing one with an int is allowed, as by the library of the backend.
    """
    # Conditions are rare, and the library takes a while to import.
    import celpy
    from celpy import adapter, celparser, celtypes, evaluation

    def compared(name: str) -> Callable[[Any, Any], Any]:
        usual = evaluation.base_functions[name]
        numbers = (celtypes.IntType, celtypes.UintType, celtypes.DoubleType)

        def compare(left: Any, right: Any) -> Any:
            if isinstance(left, numbers) and isinstance(right, numbers):
                return celtypes.BoolType(_COMPARISONS[name](float(left), float(right)))
            return usual(left, right)

        return compare

    def parse_json(text: Any) -> Any:
        return adapter.json_to_cel(_doubles(json.loads(str(text))))

    try:
        environment = celpy.Environment()
        functions = {"parseJson": parse_json} | {name: compared(name) for name in _COMPARISONS}
        program = environment.program(environment.compile(expression), functions=functions)
        found = program.evaluate({name: adapter.json_to_cel(_doubles(each)) for name, each in fields.items()})
    except (celparser.CELParseError, evaluation.CELEvalError, ValueError, TypeError, KeyError) as error:
        raise TaskFailed(f"the expression {expression!r} can't be evaluated: {_said(error)}") from error
    return json.loads(json.dumps(found, cls=adapter.CELJSONEncoder))


def _said(error: Exception) -> str:
    """The gist of an error of the library, which puts the whole story in a tuple."""
    parts = [str(part) for part in error.args if isinstance(part, str | tuple)]
    return " ".join(" ".join(parts or [str(error)]).split())


def _doubles(found: Any) -> Any:
    """Plain JSON with doubles only."""
    if isinstance(found, dict):
        return {key: _doubles(each) for key, each in found.items()}
    if isinstance(found, list):
        return [_doubles(each) for each in found]
    return float(found) if isinstance(found, int) and not isinstance(found, bool) else found

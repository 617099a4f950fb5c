"""The OpenAPI description of the REST front: `GET /openapi.json`."""

from typing import Any

_Names = dict[str, tuple[str, dict[str, Any]]]
_MODEL: _Names = {"model": ("A model's name.", {"type": "string", "pattern": "^[^/:]+$"})}
_VERSION: _Names = {"version": ("A version of it.", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1})}
_LABEL: _Names = {"label": ("A label of a version of it.", {"type": "string", "pattern": "^[^/:]+$"})}
_PLACES = {
    "/v1/models/{model}": _MODEL,
    "/v1/models/{model}/versions/{version}": _MODEL | _VERSION,
    "/v1/models/{model}/labels/{label}": _MODEL | _LABEL,
}
_ERRORS = {
    "400": "The request contradicts itself, the API or the model.",
    "401": "The token is missing or another one.",
    "404": "No such model or version.",
    "408": "The body was not there in time.",
    "413": "The body is too large.",
    "429": "Too many requests wait.",
    "500": "The model or the server failed.",
    "501": "A type that JSON does not carry.",
    "503": "No version is loaded.",
    "504": "No answer in time.",
}
_CALLS = {
    "predict": ("Answers of a signature, in rows or in columns.", "PredictRequest", "PredictResponse"),
    "classify": ("Classes with their scores, for examples.", "ExamplesRequest", "ClassifyResponse"),
    "regress": ("A value for each example.", "ExamplesRequest", "RegressResponse"),
}


def document() -> dict[str, Any]:
    """The description, OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for path, names in _PLACES.items():
        parameters = [
            {"name": name, "in": "path", "required": True, "description": text, "schema": schema}
            for name, (text, schema) in names.items()
        ]
        paths[path] = {"parameters": parameters, "get": _get("The states of its versions.", "StatusResponse")}
        paths[f"{path}/metadata"] = {"parameters": parameters, "get": _get("Its signatures.", "MetadataResponse")}
        for verb, (text, request, response) in _CALLS.items():
            body = {"required": True, "content": {"application/json": {"schema": _ref(request)}}}
            paths[f"{path}:{verb}"] = {
                "parameters": parameters,
                "post": {"summary": text, "requestBody": body, "responses": _responses(response)},
            }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Millrace model server",
            "version": "1",
            "description": "TensorFlow Serving's REST API. Numbers may be the tokens NaN, Infinity and -Infinity.",
        },
        "paths": paths | _around(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _around() -> dict[str, Any]:
    """Health, metrics and this description."""
    answer = {"application/json": {"schema": {"type": "object"}}}
    refused = {"description": _ERRORS["401"], "content": {"application/json": {"schema": _ref("Error")}}}
    return {
        "/healthz": {
            "get": {
                "summary": "The process lives.",
                "security": [],
                "responses": {"200": {"description": "It does.", "content": answer}},
            }
        },
        "/readyz": {
            "get": {
                "summary": "Every model has a version that is loaded.",
                "security": [],
                "responses": {
                    "200": {"description": "It has.", "content": answer},
                    "503": {"description": "Not yet.", "content": answer},
                },
            }
        },
        "/monitoring/prometheus/metrics": {
            "get": {
                "summary": "Counts and times, for Prometheus.",
                "responses": {
                    "200": {
                        "description": "Text format 0.0.4.",
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    },
                    "401": refused,
                },
            }
        },
        "/openapi.json": {
            "get": {
                "summary": "This description.",
                "responses": {"200": {"description": "It.", "content": answer}, "401": refused},
            }
        },
    }


def _get(summary: str, response: str) -> dict[str, Any]:
    return {"summary": summary, "responses": _responses(response)}


def _responses(schema: str) -> dict[str, Any]:
    answers = {"200": ("The answer.", schema)} | {code: (text, "Error") for code, text in _ERRORS.items()}
    return {
        code: {"description": text, "content": {"application/json": {"schema": _ref(name)}}}
        for code, (text, name) in answers.items()
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number"}
    base64 = _object({"b64": {"type": "string", "contentEncoding": "base64"}}, ["b64"], more=False)
    scalar = {"anyOf": [number, {"type": "boolean"}, text, base64]}
    tensor = {"anyOf": [*scalar["anyOf"], {"type": "array", "items": _ref("Tensor")}]}
    named = {"type": "object", "additionalProperties": _ref("Tensor")}
    feature = {"anyOf": [scalar, {"type": "array", "items": scalar}]}
    example = {"type": "object", "additionalProperties": feature}
    signature = {"signature_name": text}
    rows = {"type": "array", "minItems": 1, "items": {"anyOf": [_ref("Tensor"), named]}}
    columns = {"anyOf": [_ref("Tensor"), named]}
    pair = {"type": "array", "prefixItems": [text, number], "minItems": 2, "maxItems": 2}
    status = _object(
        {
            "version": text,
            "state": {"enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
            "status": _object({"error_code": text, "error_message": text}, ["error_code", "error_message"]),
        },
        ["version", "state", "status"],
    )
    return {
        "Error": _object({"error": text}, ["error"]),
        "Tensor": tensor,
        "PredictRequest": {
            "oneOf": [
                _object(signature | {"instances": rows}, ["instances"], more=False),
                _object(signature | {"inputs": columns}, ["inputs"], more=False),
            ]
        },
        "PredictResponse": {
            "oneOf": [
                _object({"predictions": {"type": "array"}}, ["predictions"]),
                _object({"outputs": columns}, ["outputs"]),
            ]
        },
        "ExamplesRequest": _object(
            signature | {"context": example, "examples": {"type": "array", "minItems": 1, "items": example}},
            ["examples"],
            more=False,
        ),
        "ClassifyResponse": _object(
            {"results": {"type": "array", "items": {"type": "array", "items": pair}}}, ["results"]
        ),
        "RegressResponse": _object({"results": {"type": "array", "items": number}}, ["results"]),
        "StatusResponse": _object(
            {"model_version_status": {"type": "array", "items": status}}, ["model_version_status"]
        ),
        "MetadataResponse": _object(
            {"model_spec": {"type": "object"}, "metadata": {"type": "object"}}, ["model_spec", "metadata"]
        ),
    }


def _object(properties: dict[str, Any], required: list[str], *, more: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    return found if more else found | {"additionalProperties": False}

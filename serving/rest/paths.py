"""The paths below /v1/, as TF Serving reads them (http_rest_api_util.cc): what was asked of which version of which model.

POST /v1/models/M[/versions/N|/labels/L]:(predict|classify|regress)
GET  /v1/models/M[/versions/N|/labels/L][/metadata]
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from serving.errors import Code, ServingError

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_CALL = re.compile(rf"/v1/models/(?P<model>[^/:]+){_VERSION}:(?P<verb>classify|regress|predict)", re.ASCII | re.I)
_LOOK = re.compile(rf"/v1/models(?:/(?P<model>[^/:]+))?{_VERSION}(?:/(?P<verb>metadata))?", re.ASCII | re.I)
_VERBS = frozenset({"predict", "classify", "regress", "metadata", "status"})
_LARGEST_VERSION = 2**63 - 1
_VERSION_DIGITS = 19


@dataclass(frozen=True)
class Asked:
    """What a path asks.

    Attributes:
      verb: predict, classify, regress, status or metadata.
      model: the model's name, decoded.
      version: of the model, or None.
      label: of a version, or None.
    """

    verb: str
    model: str
    version: int | None
    label: str | None


@lru_cache(maxsize=256)
def parse(method: str, target: str) -> Asked:
    """What a request asks.

    Args:
      method: POST, GET, …
      target: the path as it was sent, its query included.

    Raises:
      ServingError: INVALID_ARGUMENT: it is no path of TF Serving's, or not for this method.
    """
    found = {"POST": _CALL, "GET": _LOOK}[method].fullmatch(target) if method in ("POST", "GET") else None
    verb = (found["verb"] or "status") if found else ""
    if verb.lower() == "metadata":
        verb = "metadata"
    if found is None or verb not in _VERBS:
        raise ServingError(Code.INVALID_ARGUMENT, f"Malformed request: {method} {target}")
    if found["model"] is None:
        raise ServingError(Code.INVALID_ARGUMENT, "Missing model name in request.")
    version = found["version"]
    if version is not None and (len(version.lstrip("0")) > _VERSION_DIGITS or int(version) > _LARGEST_VERSION):
        raise ServingError(Code.INVALID_ARGUMENT, f"Failed to convert version: {version} to numeric.")
    label = found["label"]
    return Asked(
        verb,
        unquote(found["model"]),
        None if version is None else int(version),
        None if label is None else unquote(label),
    )

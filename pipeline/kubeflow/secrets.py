"""Secrets by reference: a spec names them, and only a container that starts reads them.

On Kubernetes the cluster puts them into the environment. Vertex AI's pipelines have nothing of the kind: there the spec
names resources of Secret Manager, and the container reads them with its service account.

    MILLRACE_SECRETS='{"WEBHOOK": "projects/p/secrets/webhook/versions/latest"}'
"""

import base64
import json
import os
from typing import Any

from pipeline.errors import MillraceError

VARIABLE = "MILLRACE_SECRETS"
_API = "https://secretmanager.googleapis.com/v1"
_SECONDS = 30


def resolve(session: Any = None) -> None:
    """Puts the secrets that the spec names into this process's environment.

    Args:
      session: of `requests`, with credentials; None: the machine's own.

    Raises:
      MillraceError: one can't be read; its name is told, never its value.
    """
    named: dict[str, str] = json.loads(os.environ.get(VARIABLE) or "{}")
    for variable, resource in named.items():
        if not os.environ.get(variable):
            os.environ[variable] = _read(resource, session or _session())


def _session() -> Any:
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def _read(resource: str, session: Any) -> str:
    base = os.environ.get("MILLRACE_SECRET_MANAGER", _API)
    response = session.get(f"{base}/{resource}:access", timeout=_SECONDS)
    if response.status_code != 200:
        raise MillraceError(
            f"secret {resource} can't be read (HTTP {response.status_code}). Expected the right "
            "secretmanager.versions.access for the job's service account. Next: grant roles/secretmanager.secretAccessor"
        )
    return base64.b64decode(response.json()["payload"]["data"]).decode()

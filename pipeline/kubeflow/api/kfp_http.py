"""HTTP to Kubeflow Pipelines: its generated client, with time-outs, a token that is read anew, and faults of one kind.

The generated client (`kfp_server_api`) has no time-outs of its own, follows redirects to login pages, and fails on a TLS error in
its own error handling. `kfp.Client`, which stands on it, adds prints to standard output, looks for a context file and a cluster,
and repeats without end. So every request goes through one method here, which has none of this.

The token: `--token-file` (read anew when it is refused, so that one who renews the file keeps a long wait going), else the variable
KFP_TOKEN, else the file that KF_PIPELINES_SA_TOKEN_PATH names, which is what a pod with Kubeflow's own volume has.
"""

import ipaddress
import json
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import UsageError
from pipeline.kubeflow.api.retrying import Clock, Fault, Kind, seconds_of

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_IN_POD = "KF_PIPELINES_SA_TOKEN_PATH"
_VARIABLE = "KFP_TOKEN"


@dataclass(frozen=True)
class Server:
    """Where Kubeflow Pipelines is, and how to be let in.

    Attributes:
      host: its address, `https://…` or `http://…`.
      namespace: of the user, where there are several (multi-user mode); else None.
      token_file: path of a bearer token, or None.
      ca_cert: path of the authority that signed the host's certificate, or None for the public ones.
      ui: address of the user interface, where it is another.
    """

    host: str
    namespace: str | None = None
    token_file: str | None = None
    ca_cert: str | None = None
    ui: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.host)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"--host: Expected: https://HOST[/PATH] or http://HOST:PORT. Received: {self.host!r}. "
                "Next: kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888, then --host http://localhost:8888"
            )
        if parts.username or parts.password:
            raise UsageError("--host: it has a password in it, which others would see. Next: --token-file FILE")
        if self.ca_cert:
            try:
                ssl.create_default_context(cafile=self.ca_cert)
            except OSError as error:
                raise UsageError(
                    f"--ca-cert: Expected: a file with certificates in PEM. Received: {self.ca_cert} ({error.strerror})"
                ) from error

    @property
    def url(self) -> str:
        """Without a slash, and without the page of the user interface."""
        return self.host.partition("#")[0].rstrip("/")

    @property
    def name(self) -> str:
        """For messages."""
        return f"Kubeflow Pipelines at {urlsplit(self.host).netloc}"

    @property
    def clear_text(self) -> bool:
        """Whether a token would cross a network in clear: http to a host that is not this machine nor in the cluster."""
        parts = urlsplit(self.host)
        host = parts.hostname or ""
        inside = host == "localhost" or "." not in host or ".svc" in host or _loopback(host)
        return parts.scheme == "http" and not inside


def read_token(server: Server) -> str | None:
    """The token, or None where none is given.

    Raises:
      UsageError: its file can't be read or is empty.
    """
    path = server.token_file
    if path is None and os.environ.get(_VARIABLE):
        return os.environ[_VARIABLE].strip()
    path = path or os.environ.get(_IN_POD)
    if path is None:
        return None
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file: {path} can't be read: {getattr(error, 'strerror', 'no text')}") from error
    if not token or len(token.split()) > 1:
        raise UsageError(f"--token-file: Expected: one token. Received: {len(token.split())} words in {path}")
    return token


def connect(server: Server, clock: Clock) -> Any:
    """A client for the generated services, such as `RunServiceApi(connect(…))`."""
    import kfp_server_api

    configuration = kfp_server_api.Configuration(host=server.url)
    configuration.retries = False
    # A state that a newer server has must not end a wait.
    configuration.client_side_validation = False
    if server.ca_cert:
        configuration.ssl_ca_cert = server.ca_cert
    token = read_token(server)
    if token:
        configuration.api_key["authorization"] = token
        configuration.api_key_prefix["authorization"] = "Bearer"

    class Client(kfp_server_api.ApiClient):
        """The generated client; each request goes through `request`."""

        def request(self, method: str, url: str, **options: Any) -> Any:
            """Sends one request; with a new token a second time, if the first was refused for the old one."""
            try:
                return self._send(method, url, **options)
            except Fault as fault:
                renewed = read_token(server)
                if fault.status != 401 or not renewed or renewed == configuration.api_key.get("authorization"):
                    raise
                configuration.api_key["authorization"] = renewed
                configuration.api_key_prefix["authorization"] = "Bearer"
                options["headers"] = {**(options.get("headers") or {}), "authorization": f"Bearer {renewed}"}
                return self._send(method, url, **options)

        def _send(self, method: str, url: str, **options: Any) -> Any:
            options["_request_timeout"] = (_CONNECT_SECONDS, _READ_SECONDS)
            answer = _translated(lambda: super(Client, self).request(method, url, **options), clock)
            if "/apis/v2beta1/" in url and "json" not in (answer.getheader("content-type") or "json"):
                raise Fault("no_api", "a page that is not JSON")
            return answer

    return Client(configuration)


def _translated(send: Callable[[], Any], clock: Clock) -> Any:
    """Sends, and turns each failure into a `Fault`."""
    import kfp_server_api
    import urllib3

    kinds: tuple[tuple[type[Exception], Kind], ...] = (
        (urllib3.exceptions.NameResolutionError, "name"),
        (urllib3.exceptions.NewConnectionError, "refused"),
        (urllib3.exceptions.TimeoutError, "timeout"),
        (urllib3.exceptions.SSLError, "tls"),
        (urllib3.exceptions.HTTPError, "broken"),
    )
    try:
        return send()
    except kfp_server_api.ApiException as error:
        if not error.status:
            raise Fault("tls", str(error.reason).partition("\n")[2]) from None
        if 300 <= error.status < 400:
            raise Fault("no_api", f"a redirect to {_host((error.headers or {}).get('location'))}") from None
        retry_after = seconds_of((error.headers or {}).get("retry-after"), clock.now())
        raise Fault("status", _said(error.body), status=error.status, retry_after=retry_after) from None
    except urllib3.exceptions.HTTPError as error:
        kind = next(kind for kinds_of, kind in kinds if isinstance(error, kinds_of))
        # The library's text begins with the address of an object.
        raise Fault(kind, str(error).rpartition(": ")[2]) from None


def _said(body: bytes | str | None) -> str:
    """The server's own sentence; of a page of a proxy, nothing."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        found = json.loads(text)
    except ValueError:
        return "" if "<" in text else text
    if not isinstance(found, dict):
        return ""
    return str(found.get("message") or found.get("error_message") or found.get("error") or "")


def _host(location: str | None) -> str:
    return urlsplit(location or "").hostname or "another page"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

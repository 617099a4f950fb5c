"""What went wrong with a request, as one sentence with the next step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pipeline.errors import MillraceError, UsageError
from pipeline.kubeflow.api.retrying import Fault

Advice = Mapping[int, str]
"""Status of HTTP -> what to do about it, by the server's own roles and names."""

_UNREACHED = {
    "refused": "refuses connections. Next: check the port, and that the server or the port-forward is up",
    "timeout": "did not answer in time. Next: check the network (VPN, firewall, proxy), then try again",
    "broken": "broke the connection off. Next: try again; a port-forward may have ended",
    "name": "is not a name that this machine can resolve. Next: check the spelling, the VPN and the DNS",
    "tls": "has a certificate that is not trusted here. Next: --ca-cert FILE with the authority that signed it",
    "no_api": "answered with something else than this API. Next: check --host; behind a login page it needs a token",
    "credentials": "can't be signed in to from here",
}
_WHAT = {
    400: "does not take the request",
    401: "does not know who asks: the token is missing, wrong or expired",
    403: "knows who asks, and that is not allowed",
    404: "has no such thing",
    409: "has it already",
    429: "has had too many requests",
}


def to_error(fault: Fault, where: str, doing: str, advice: Advice) -> MillraceError:
    """One error for a user.

    Args:
      fault: the request's.
      where: the server's name.
      doing: what the request was for, such as `submit`.
      advice: the next step by status.
    """
    said = f" It says: {fault.message.rstrip('.')}." if fault.message else ""
    tried = f" (tried {fault.attempts} times)" if fault.attempts > 1 else ""
    if fault.kind != "status":
        step = _UNREACHED[fault.kind]
        return MillraceError(f"{doing}: {where} {step}{tried}.{said}")
    status = fault.status or 0
    what = _WHAT.get(status, "is out of order" if status >= 500 else "refuses the request")
    if fault.retry_after:
        what += f" and asks to wait {fault.retry_after:.0f} s"
    step = advice.get(status, "try again in a few minutes" if status >= 500 else "see the server's log")
    return (UsageError if status == 400 else MillraceError)(
        f"{doing}: {where} {what} ({status}){tried}.{said} Next: {step}"
    )


@contextmanager
def told(where: str, doing: str, advice: Advice) -> Iterator[None]:
    """Turns a `Fault` inside the block into the user's error."""
    try:
        yield
    except Fault as fault:
        raise to_error(fault, where, doing, advice) from fault

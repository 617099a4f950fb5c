"""The form of every refusal of a training setting."""

from pipeline.errors import TaskError


def require(ok: bool, rule: str, **received: object) -> None:
    """Raises TaskError with the rule and what was received, unless ok."""
    if not ok:
        got = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise TaskError(f"training: {rule}. Received: {got}")

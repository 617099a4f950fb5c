"""The rules of the serving check: what they refuse."""

from typing import Any

import pytest

from pipeline.errors import TaskError
from pipeline.serving_check import ServingCheck


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"server": "triton"},
            "serving: server: expected one of ('embedded', 'tensorflow_serving'). Received: server='triton'",
        ),
        ({"max_p99_ms": 0.0}, "serving: max_p99_ms: expected a number above 0. Received: max_p99_ms=0.0"),
        (
            {"max_difference": float("nan")},
            "serving: max_difference: expected a number above 0. Received: max_difference=nan",
        ),
        (
            {"max_memory_mb": float("inf")},
            "serving: max_memory_mb: expected a number above 0. Received: max_memory_mb=inf",
        ),
        ({"requests": 0}, "serving: requests: expected at least 1. Received: requests=0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskError) as caught:
        ServingCheck(**settings)
    assert str(caught.value) == said


def test_the_engine_is_looked_for_on_the_path(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TaskError, match="expected docker or podman"):
        ServingCheck(server="tensorflow_serving").engine()
    program = tmp_path / "podman"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert ServingCheck(server="tensorflow_serving").engine() == str(program)

"""Folders of served models for the tests: small files in place of real models."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.push import history
from pipeline.push.versions import Places

Put = Callable[..., Path]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Of the task `tips`, with nothing pushed yet."""
    found = Places(tmp_path / "tips" / "serving" / "tips")
    found.watched.mkdir(parents=True)
    return found


@pytest.fixture
def put(places: Places) -> Put:
    """A function: makes a version of two files, and its event in the history."""

    def make(version: int, folder: Path | None = None, reason: str = "passed the gates") -> Path:
        made = (folder or places.watched) / str(version)
        (made / "variables").mkdir(parents=True)
        (made / "variables" / "variables.index").write_text(f"weights {version}")
        served = places.served()
        (made / "saved_model.pb").write_text(f"model {version}")
        previous = str(served) if served else None
        about = {"previous": previous, "model": f"/models/{version}", "reason": reason, "run_id": f"run-{version}"}
        history.append(places, history.event("pushed", version, **about))
        return made

    return make

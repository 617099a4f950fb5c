"""What KFP's backend refuses only when a job runs: each rule was seen in its driver, its launcher or Argo (KFP 2.17)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import RunConfig
from pipeline.errors import UsageError
from pipeline.kubeflow import compile as compiler
from pipeline.kubeflow import container
from pipeline.kubeflow.settings import Settings, read

yaml = pytest.importorskip("yaml")


def _spec(**settings: Any) -> dict[str, Any]:
    config = RunConfig(task="taxi_tips", root="s3://bucket/runs")
    text = compiler.compiled(config, read(None, {"image": "a/b:1", **settings}), "kfp")
    return dict(next(yaml.safe_load_all(text)))


def _told(tmp_path: Path, properties: dict[str, Any]) -> dict[str, Any]:
    asked = {"name": "model", "uri": "s3://bucket/runs/taxi-tips/run/trainer/salt/model"}
    target = tmp_path / "output_metadata.json"
    given = {"outputs": {"outputFile": str(target), "artifacts": {"model": {"artifacts": [asked]}}}}
    made = {"model": {"uri": "s3://bucket/runs/taxi_tips/artifacts/Trainer/model/9", "properties": properties}}
    container.answer(given, made, {})
    found = json.loads(target.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    return dict(found["artifacts"]["model"]["artifacts"][0])


def test_the_place_that_the_launcher_gave_stays_and_ours_is_a_property(tmp_path: Path) -> None:
    told = _told(tmp_path, {"auc": 0.5})
    assert "uri" not in told
    place = "s3://bucket/runs/taxi_tips/artifacts/Trainer/model/9"
    assert told["metadata"] == {"auc": 0.5, "place": place}


def test_what_the_metadata_store_does_not_take_is_left_out(tmp_path: Path) -> None:
    odd = {"nan": float("nan"), "inf": float("-inf"), "none": None, "rows": 3, "name": "x"}
    assert set(_told(tmp_path, odd)["metadata"]) == {"rows", "name", "place"}


def test_a_step_of_many_hours_is_tried_again() -> None:
    tasks = _spec()["components"]["comp-pipeline"]["dag"]["tasks"]
    policies = [task["retryPolicy"] for task in tasks.values() if "retryPolicy" in task]
    assert len(policies) >= 8
    for policy in policies:
        # Argo: no attempt begins later than this after the first began. Without it KFP says 0: none ever does.
        assert int(policy["backoffMaxDuration"].removesuffix("s")) >= 86_400
        assert policy["backoffFactor"] == int(policy["backoffFactor"])


@pytest.mark.parametrize(
    ("memory", "taken"), [("8k", True), ("8Ki", True), ("1.5G", True), ("8K", False), ("8m", False)]
)
def test_memory_is_a_quantity_of_kubernetes(memory: str, taken: bool) -> None:
    settings = Settings(image="a/b:1", resources={"default": {"memory": memory}})
    if taken:
        settings.check([], "kfp")
    else:
        with pytest.raises(UsageError, match=re.escape(memory)):
            settings.check([], "kfp")

"""Strategies of one process: by name, what each makes, and why one can't work here."""

from pathlib import Path

import pytest
import tensorflow as tf

from pipeline import strategies
from pipeline.errors import TaskError, UsageError
from pipeline.training import Training


def test_an_unknown_name_lists_the_choices_and_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Unknown strategy 'mirorred'. Did you mean 'mirrored'. Known: auto, central"):
        strategies.strategy("mirorred")
    with pytest.raises(TaskError, match=r"unknown strategy 'mirorred'. Did you mean 'mirrored'"):
        Training(strategy="mirorred")


@pytest.mark.parametrize("name", ["auto", "one_device"])
def test_on_a_lone_cpu_steps_run_as_they_are(name: str) -> None:
    assert strategies.strategy(name) is tf.distribute.get_strategy()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("mirrored", "MirroredStrategy"), ("central_storage", "CentralStorageStrategy")],
)
def test_replicas_are_as_many_as_devices(name: str, kind: str) -> None:
    made = strategies.strategy(name)
    assert type(made).__name__.startswith(kind)
    assert made.num_replicas_in_sync == 1
    with pytest.raises(
        UsageError, match=rf"strategy {name}: expected as many devices as --workers. Received: --workers 3"
    ):
        strategies.strategy(name, 3)


def test_what_will_not_help_is_said() -> None:
    assert strategies.remark("one_device", None) == ""
    assert "there is one device, the CPU" in strategies.remark("mirrored", None)
    assert "Next: --workers 2" in strategies.remark("central_storage", None)
    assert "2 logical devices share the CPU" in strategies.remark("mirrored", 2)


def test_logical_cpus_are_wanted_for_replicas_that_are_asked_for_by_number() -> None:
    wanted = {
        (name, workers): strategies.wants_logical_cpus(name, workers)
        for name in ("mirrored", "central_storage", "one_device", "auto", "multi_worker")
        for workers in (None, 1, 2)
    }
    assert [case for case, wants in wanted.items() if wants] == [("mirrored", 2), ("central_storage", 2)]


def test_a_tpu_that_is_nowhere_is_missed_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"there is no TPU. Expected: its name or grpc:// address in TPU_NAME"
    ) as caught:
        strategies.check("tpu", {}, tmp_path)
    assert f"{tmp_path}/accel*" in str(caught.value)
    assert "Next: --strategy auto" in str(caught.value)
    strategies.check("tpu", {"TPU_NAME": "mine"}, tmp_path)
    strategies.check("one_device", {}, tmp_path)
    (tmp_path / "accel0").touch()
    strategies.check("tpu", {}, tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("local", "NotFoundError: TPUs not found"), ("grpc://127.0.0.1:1", "ConnectionRefusedError")],
)
def test_a_tpu_that_can_not_be_prepared_is_told_with_its_name_and_the_reason(
    name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TPU_NAME", name)
    with pytest.raises(UsageError, match=rf"the TPU TPU_NAME='{name}' could not be prepared: {reason}"):
        strategies.strategy("tpu")


def test_a_batch_has_a_row_for_each_worker() -> None:
    with pytest.raises(TaskError, match=r"workers: expected at most batch_size.*Received: workers=3, batch_size=2"):
        Training(workers=3, batch_size=2)
    assert Training(workers=2, batch_size=2).workers == 2

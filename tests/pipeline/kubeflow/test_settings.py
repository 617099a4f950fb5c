"""What a cluster is told, and what it can't be."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.kubeflow.settings import Resources, Settings, read, resources_of, secret_of

NODES = ("ExampleGen", "Trainer")
IMAGE = "registry.example/team/millrace:0.1"


def _settings(**given: Any) -> Settings:
    return read(None, {"image": IMAGE, **given})


def test_flags_win_over_the_file_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(
        "image: a/b:1\nenv: {A: x, B: y}\nresources: {default: {cpu: '1'}, Trainer: {cpu: '4', memory: 8G}}\n"
        "secrets: [{env: P, secret: s, key: k}]\nretries: {count: 3}\n"
    )
    found = read(
        str(file),
        {
            "image": IMAGE,
            "env": {"B": "z"},
            "resources": resources_of(["Trainer.cpu=8"]),
            "secrets": [secret_of("Q=t/u")],
        },
    )
    assert found.image == IMAGE
    assert found.env == {"A": "x", "B": "z"}
    assert found.of("Trainer") == Resources(cpu="8", memory="8G")
    assert found.of("Pusher") == Resources(cpu="1")
    assert [(s.env, s.secret, s.key) for s in found.secrets] == [("P", "s", "k"), ("Q", "t", "u")]
    assert found.retries.count == 3


@pytest.mark.parametrize(
    ("text", "cores", "gigabytes"),
    [(("2", "8G"), 2.0, 8.0), (("500m", "512Mi"), 0.5, 0.536870912), (("1.5", "2Gi"), 1.5, 2.147483648)],
)
def test_units(text: tuple[str, str], cores: float, gigabytes: float) -> None:
    found = Resources(cpu=text[0], memory=text[1])
    assert found.cores == cores
    assert found.gigabytes == pytest.approx(gigabytes)


@pytest.mark.parametrize(
    ("given", "target", "expected"),
    [
        ({"image": ""}, "kfp", "no image. Expected --image REGISTRY/NAME:TAG"),
        ({"image": "a b"}, "kfp", "image: expected REGISTRY/NAME:TAG. Received: a b"),
        ({"resources": {"Trianer": {"cpu": "1"}}}, "kfp", "no node 'Trianer'. Did you mean 'Trainer'?"),
        ({"resources": {"Trainer": {"cpu": "many"}}}, "kfp", "Trainer.cpu: expected cores"),
        ({"resources": {"Trainer": {"memory": "8 GB"}}}, "kfp", "Trainer.memory: expected such as 8G"),
        ({"resources": {"Trainer": {"accelerator": "gpu"}}}, "kfp", "Trainer.accelerator: expected KIND:NUMBER"),
        ({"env": {"DB_PASSWORD": "hunter2"}}, "kfp", "DB_PASSWORD looks like a secret"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "x"}}, "vertex", "AWS_SECRET_ACCESS_KEY=projects/PROJECT/secrets"),
        ({"secrets": [{"env": "A", "secret": "s", "key": "k"}]}, "vertex", "A=projects/PROJECT/secrets"),
        ({"secrets": [{"env": "A", "secret": "projects/p/secrets/s/versions/1"}]}, "kfp", "A=SECRET/KEY"),
        ({"notify": "HOOK"}, "kfp", "notify: no variable 'HOOK'"),
        ({"labels": {"Team": "a"}}, "kfp", "Received: Team=a"),
        ({"node_selector": {"a": "b"}}, "vertex", "node_selector: Vertex AI has nothing of the kind"),
    ],
)
def test_what_can_t_be_is_refused(given: dict[str, Any], target: str, expected: str) -> None:
    with pytest.raises(UsageError) as refused:
        _settings(**given).check(NODES, target)
    assert expected in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        _settings(image="", resources={"X": {"cpu": "?"}}).check(NODES, "kfp")
    assert all(word in str(refused.value) for word in ("no image", "no node 'X'", "X.cpu"))


def test_an_unknown_field_offers_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("imgae: a/b\n")
    with pytest.raises(UsageError, match="Did you mean 'image'"):
        read(str(file), {})


@pytest.mark.parametrize("text", ["", "- a\n", "image: [\n"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match="--settings"):
        read(str(file), {})


@pytest.mark.parametrize("text", ["Trainer", "Trainer.cpu", "Trainer.disk=1", "cpu=1"])
def test_a_resource_flag_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"NODE\.cpu"):
        resources_of([text])


def test_a_secret_typed_in_clear_is_not_repeated() -> None:
    with pytest.raises(UsageError) as refused:
        secret_of("hunter2")
    assert "SECRET/KEY" in str(refused.value)

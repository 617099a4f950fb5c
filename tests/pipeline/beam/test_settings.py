"""Flags and profiles, as RunConfig keeps them."""

from pathlib import Path

import pytest

from pipeline.beam import settings
from pipeline.config import RunConfig
from pipeline.errors import UsageError

PROFILE = """
runner: flink
local_below: 500MB
options: {job_endpoint: "flink:8099", object_reuse: true, experiments: [a, b]}
nodes:
  Transform: {parallelism: 8}
  Evaluator: local
"""


def test_without_a_flag_jobs_are_local() -> None:
    given = settings.given(None, None, None, None)
    assert given == {"beam_runner": "local", "beam_options": (), "beam_nodes": ()}
    assert RunConfig("t", **given) == RunConfig("t")


def test_flags_win_over_a_profile(tmp_path: Path) -> None:
    (tmp_path / "flink.yaml").write_text(PROFILE)
    given = settings.given(
        "spark", ["job_endpoint=other:1"], ["Transform.parallelism=2", "all=cluster"], str(tmp_path / "flink.yaml")
    )
    assert given == {
        "beam_runner": "spark",
        "beam_options": (
            "object_reuse=true",
            "experiments=a",
            "experiments=b",
            "local_below=500MB",
            "job_endpoint=other:1",
        ),
        "beam_nodes": ("Evaluator=local", "Transform.parallelism=2", "all=cluster"),
    }
    assert settings.given(None, None, None, str(tmp_path / "flink.yaml"))["beam_runner"] == "flink"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runer: flink", "no field 'runer'. Did you mean 'runner'?"),
        ("runner: flnk", "no runner 'flnk'. Did you mean 'flink'?"),
        ("nodes: {Transfrm: local}", "no node 'Transfrm' that works with Beam. Did you mean 'Transform'?"),
        ("nodes: {Transform: remote}", "expected local or cluster. Received: remote"),
        ("options: [a]", "options: expected a mapping. Received: list"),
        ("options: {runner: x}", "runner is a field of its own"),
        ("- a", "Received: list"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_profile_that_is_wrong_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(UsageError) as refused:
        settings.given(None, None, None, str(tmp_path / "p.yaml"))
    assert expected in str(refused.value)


def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml: No such file or directory\. Expected a file of YAML"):
        settings.given(None, None, None, "nowhere.yaml")


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        settings.given("flnk", ["fast", "runner=X"], ["Trainer=local", "all=fast", "Transform", "all.runner=X"], None)
    for expected in (
        "no runner 'flnk'. Did you mean 'flink'?",
        "--beam fast: expected KEY=VALUE",
        "--beam runner=X: expected KEY=VALUE; the runner is chosen by --beam-runner",
        "no node 'Trainer' that works with Beam",
        "--beam-node all=fast: expected local or cluster. Received: fast",
    ):
        assert expected in str(refused.value)
    assert "and 2 more" in str(refused.value)


def test_a_cluster_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match=r"there is no cluster\. Expected --beam-runner flink, spark or dataflow"):
        settings.given("direct", None, ["all=cluster"], None)


def test_a_node_s_own_options_come_last() -> None:
    config = RunConfig(
        "t",
        beam_options=("parallelism=1", "local_below=1MB", "a=b=c"),
        beam_nodes=("Transform.parallelism=3", "all.parallelism=2", "all=local", "Evaluator=cluster"),
    )
    assert settings.options_of(config, "Transform") == [
        *(("parallelism", "1"), ("a", "b=c"), ("parallelism", "2"), ("parallelism", "3")),
    ]
    assert dict(settings.options_of(config, "ExampleGen"))["parallelism"] == "2"
    assert settings.forced(config, "Evaluator") == "cluster"
    assert settings.forced(config, "Transform") == "local"
    assert settings.forced(RunConfig("t"), "Transform") is None


@pytest.mark.parametrize(
    ("text", "expected"), [("2GB", 2_000_000_000), ("1.5 mb", 1_500_000), ("700", 700), ("10kB", 10_000)]
)
def test_sizes(text: str, expected: int) -> None:
    assert settings.local_below(RunConfig("t", beam_options=(f"local_below={text}",))) == expected
    assert settings.local_below(RunConfig("t")) == 2_000_000_000

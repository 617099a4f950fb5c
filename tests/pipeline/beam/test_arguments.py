"""Each node's Beam arguments, and that Beam itself takes them."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import create_runner
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.orchestration.pipeline import Pipeline
from tfx.utils import dependency_utils

from pipeline import image, tasks
from pipeline.beam import NODES, arguments, place
from pipeline.beam.engines import ENGINES
from pipeline.config import RunConfig
from pipeline.dag import build_pipeline
from pipeline.errors import UsageError
from pipeline.flink import state
from pipeline.runners import graph
from pipeline.runners.nodes import NodeState

CLUSTER = state.Cluster("http://127.0.0.1:8081", "127.0.0.1:41", "127.0.0.1:42", 3, "1.19.3", "2.77.0", "/f", {})


def _of(node: str = "Transform", **changes: Any) -> list[str]:
    config = RunConfig("taxi_tips", root="/r", **({"beam_runner": "flink", "beam_nodes": ("all=cluster",)} | changes))
    return arguments.by_node(tasks.load("taxi_tips"), config)[node]


def _beam_nodes(pipeline: Pipeline) -> dict[str, list[str]]:
    return {
        node.id: node.executor_spec.beam_pipeline_args
        for node in pipeline.components
        if isinstance(node, BaseBeamComponent)
    }


def test_the_compiled_graph_says_which_engine_a_node_has(tmp_path: Path) -> None:
    state.write(CLUSTER)
    config = RunConfig("taxi_tips", root=str(tmp_path), beam_runner="flink", beam_nodes=("Transform=cluster",))
    engines = {node.id: node.engine for node in graph.compile_graph(config, "run").nodes}
    assert {node for node, engine in engines.items() if engine} == {"Transform"}
    assert engines["Transform"] == "flink"
    assert NodeState("Transform", engine="flink").record()["engine"] == "flink"
    assert "engine" not in NodeState("Trainer").record()


def test_in_process_nodes_are_told_so_in_the_words_that_components_look_for(tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_text("fare\n3\n")
    config = RunConfig("taxi_tips", root=str(tmp_path), predict=str(tmp_path / "asked.csv"))
    found = _beam_nodes(build_pipeline(tasks.load("taxi_tips"), config))
    assert found == {node: ["--runner=FnApiRunner", "--sdk_container_image=local"] for node in NODES}


def test_nodes_of_one_pipeline_go_to_different_engines(tmp_path: Path) -> None:
    state.write(CLUSTER)
    config = RunConfig("taxi_tips", root=str(tmp_path), beam_runner="flink", beam_nodes=("Transform=cluster",))
    found = _beam_nodes(build_pipeline(tasks.load("taxi_tips"), config))
    assert {node: options[0] for node, options in found.items()} == {
        "ExampleGen": "--runner=FnApiRunner",
        "StatisticsGen": "--runner=FnApiRunner",
        "Transform": "--runner=FlinkRunner",
        "Evaluator": "--runner=FnApiRunner",
    }


def test_the_cluster_of_this_machine_is_found() -> None:
    with pytest.raises(
        UsageError, match=r"where is it\? Expected .* Next: millrace cluster up, or --beam flink_master="
    ):
        _of()
    state.write(CLUSTER)
    found = _of()
    assert found == [
        "--runner=FlinkRunner",
        f"--job_name={arguments.job_name(RunConfig('taxi_tips', root='/r'), 'Transform')}",
        "--job_endpoint=127.0.0.1:41",
        "--environment_type=EXTERNAL",
        "--environment_config=127.0.0.1:42",
        "--parallelism=3",
        "--sdk_container_image=local",
    ]
    options = PipelineOptions(found)
    assert options.view_as(FlinkRunnerOptions).parallelism == 3
    assert options.view_as(PortableOptions).environment_config == "127.0.0.1:42"
    assert "--parallelism=1" in _of(beam_nodes=("all=cluster", "Transform.parallelism=1"))


def test_a_cluster_that_is_asked_for_needs_none_of_this_machine() -> None:
    found = _of(beam_options=("flink_master=localhost:8081",))
    assert found[2:] == ["--environment_type=LOOPBACK", "--sdk_container_image=local", "--flink_master=localhost:8081"]
    far = _of(beam_options=("flink_master=flink:8081",))
    assert far[2:] == [f"--setup_file={image.ROOT / 'setup.py'}", "--flink_master=flink:8081"]
    own = _of(beam_options=("flink_master=flink:8081", "sdk_container_image=r/i:1", "environment_type=DOCKER"))
    assert own[2:] == ["--flink_master=flink:8081", "--sdk_container_image=r/i:1", "--environment_type=DOCKER"]


def test_spark_and_dataflow() -> None:
    assert _of(beam_runner="spark", beam_options=("spark_master_url=local[2]",))[2:] == [
        *("--environment_type=LOOPBACK", "--sdk_container_image=local", "--spark_master_url=local[2]"),
    ]
    with pytest.raises(UsageError, match="--beam spark_rest_url=HOST:PORT"):
        _of(beam_runner="spark")
    cloud = _of(beam_runner="dataflow", beam_options=("project=p", "region=r", "temp_location=gs://b/t"))
    assert cloud[0] == "--runner=DataflowRunner"
    assert f"--setup_file={image.ROOT / 'setup.py'}" in cloud


def test_options_of_a_cluster_are_not_for_nodes_that_stay() -> None:
    asked = ("flink_master=flink:8081", "parallelism=9", "s3_endpoint_url=http://s3")
    assert _of(beam_options=asked, beam_nodes=("all=local",)) == [
        *("--runner=FnApiRunner", "--sdk_container_image=local", "--s3_endpoint_url=http://s3"),
    ]


def test_a_switch_has_no_value() -> None:
    changes = {"beam_runner": "local", "beam_nodes": ()}
    assert "--save_main_session" in _of(beam_options=("save_main_session=true",), **changes)
    assert _of(beam_options=("save_main_session=false",), **changes)[2:] == []
    PipelineOptions(_of(beam_options=("save_main_session=true",), **changes)).get_all_options()


def test_tfx_packs_itself_for_no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependency_utils, "build_ephemeral_package", lambda: pytest.fail("packed"))
    state.write(CLUSTER)
    for options in (("flink_master=flink:8081",), ()):
        for choice in ("cluster", "local"):
            found = _of(beam_options=options, beam_nodes=(f"all={choice}",))
            assert dependency_utils.make_beam_dependency_flags(found) == found


def test_names_of_jobs_tell_task_node_root_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig("taxi_tips", root="/r")
    name = arguments.job_name(config, "StatisticsGen")
    assert name.startswith("millrace-taxi-tips-statisticsgen-")
    assert name == arguments.job_name(config, "StatisticsGen")
    assert name != arguments.job_name(RunConfig("taxi_tips", root="/other"), "StatisticsGen")
    monkeypatch.setattr("platform.node", lambda: "another-machine")
    assert name != arguments.job_name(config, "StatisticsGen")


def test_direct_runs_jobs_in_process_and_asks_no_network() -> None:
    runner = create_runner(ENGINES["direct"].runner)
    assert isinstance(runner, FnApiRunner)
    assert "prism" not in inspect.getsource(inspect.getmodule(FnApiRunner) or FnApiRunner).lower()


def test_arguments_tell_whose_workers_are_elsewhere() -> None:
    state.write(CLUSTER)
    assert place.of_arguments(_of()) is None
    assert place.of_arguments(_of(beam_nodes=())) is None
    assert place.of_arguments(_of(beam_options=("job_endpoint=jobs.beam:8099",))) == "jobs.beam"
    far = ("job_endpoint=localhost:1", "environment_type=EXTERNAL", "environment_config=pool:5")
    assert place.of_arguments(_of(beam_options=far)) == "pool"
    assert place.of_arguments(_of(beam_runner="dataflow")) == "Dataflow"

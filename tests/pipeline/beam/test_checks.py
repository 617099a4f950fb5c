"""What is wrong is said before anything starts, all of it at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import image, tasks
from pipeline.beam import checks, versions
from pipeline.config import RunConfig
from pipeline.errors import UsageError
from pipeline.flink import state

HERE = versions.beam()


def _check(*options: str, **changes: Any) -> None:
    given = {"beam_runner": "flink", "beam_nodes": ("all=cluster",), "beam_options": options, "root": "/r"} | changes
    checks.check(tasks.load("taxi_tips"), RunConfig("taxi_tips", **given))


def _refused(*options: str, **changes: Any) -> str:
    with pytest.raises(UsageError) as refused:
        _check(*options, **changes)
    return str(refused.value)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("paralelism=3", "--beam paralelism: Beam has no such option. Did you mean 'parallelism'?"),
        ("parallelism=three", "expected a value of type int. Received: three"),
        ("flink_submit_uber_jar=yes", "expected true or false. Received: yes"),
        ("shared_folders=1", "--beam shared_folders: expected true or false. Received: 1"),
        ("local_below=much", "local_below: expected a size such as 500MB or 2GB. Received: much"),
        ("spark_master_url=x:1", "is of spark. Received: --beam-runner flink. Next: --beam-runner spark"),
        ("direct_running_mode=fast", "no 'fast'. Known: "),
    ],
)
def test_options_are_known_to_beam(option: str, expected: str) -> None:
    assert expected in _refused(option)


def test_an_option_of_a_node_is_one_too() -> None:
    assert "--beam-node Transform.paralelism: Beam has no such option" in _refused(
        beam_nodes=("Transform.paralelism=3",)
    )


def test_options_of_a_job_server_are_known(listening: str) -> None:
    _check(f"job_endpoint={listening}", "object_reuse=true", "parallelism=2")


def test_no_secret_is_taken_nor_said() -> None:
    for option in ("s3_secret_access_key=hunter2", "azure_connection_string=hunter2", "s3_session_token=hunter2"):
        said = _refused(option)
        assert "its value would be readable in run.json" in said
        assert "hunter2" not in said


def test_an_address_at_which_nobody_answers(listening: str, closed: str) -> None:
    _check(f"job_endpoint={listening}")
    assert f"job_endpoint: {closed} is not reachable" in _refused(f"job_endpoint={closed}")
    pool = ("environment_type=EXTERNAL", f"environment_config={closed}")
    assert f"environment_config: {closed} is not reachable" in _refused(f"job_endpoint={listening}", *pool)


def test_all_is_said_at_once(closed: str) -> None:
    said = _refused(f"job_endpoint={closed}", "environment_type=DOCKER")
    assert said.count("\n") == 3
    for expected in (
        "is not reachable",
        "--root: workers on containers can't reach /r",
        "--data: workers on containers",
    ):
        assert expected in said


def test_where_all_nodes_stay_no_cluster_is_needed(closed: str) -> None:
    _check(beam_nodes=())
    _check(f"job_endpoint={closed}", beam_nodes=())
    assert "where is it?" in _refused()


def test_workers_elsewhere_need_places_that_they_reach(listening: str) -> None:
    docker = (f"job_endpoint={listening}", "environment_type=DOCKER", "sdk_container_image=r/i:1")
    said = _refused(*docker)
    assert "Next: --root s3://…, or --beam shared_folders=true" in said
    _check(*docker, "shared_folders=true")
    external = (f"job_endpoint={listening}", "environment_type=EXTERNAL")
    pool = "environment_config=" + listening
    _check(*external, pool)


def test_flink_and_its_job_server_have_to_fit(flink: Callable[[str], str], tmp_path: Path) -> None:
    old, new = flink("1.18.1"), flink("1.19.3")
    jar = tmp_path / f"beam-runners-flink-1.19-job-server-{HERE}.jar"
    _check(f"flink_master={new}", f"flink_job_server_jar={jar}")
    said = _refused(f"flink_master={old}", f"flink_job_server_jar={jar}")
    assert f"flink_master: {old} is Flink 1.18.1, and {jar.name} is for 1.19" in said
    assert "and flink_version=2." in _refused(f"flink_master={new}")  # Beam's own choice
    assert "Next: --beam flink_version=1.18" in _refused(f"flink_master={old}", "flink_version=1.19")


def test_a_job_server_of_another_beam(flink: Callable[[str], str], tmp_path: Path) -> None:
    options = (
        f"flink_master={flink('1.19.3')}",
        f"flink_job_server_jar={tmp_path}/beam-runners-flink-1.19-job-server-2.62.0.jar",
    )
    assert f"is of Beam 2.62.0. Expected that of Python's, {HERE}" in _refused(*options)
    _check(*options, "allow_version_mismatch=true")


def test_a_far_engine_does_not_reach_workers_of_this_process() -> None:
    said = _refused("flink_master=10.255.255.1:8081", "environment_type=LOOPBACK")
    assert (
        "environment_type=LOOPBACK: flink on 10.255.255.1 can't reach workers in this process. Expected DOCKER" in said
    )


def test_the_cluster_of_this_machine(listening: str, closed: str, caplog: pytest.LogCaptureFixture) -> None:
    code = image.fingerprint()
    state.write(state.Cluster("http://127.0.0.1:1", listening, listening, 2, "1.19.3", "2.62.0", "/f", {}, code))
    _check()
    assert f"the cluster's job server is of Beam 2.62.0, Python's is {HERE}" in caplog.text
    state.write(state.Cluster("http://127.0.0.1:1", listening, listening, 2, "1.19.3", HERE, "/f", {}, "other"))
    assert "has changed since. Next: millrace cluster down, then millrace cluster up" in _refused()
    state.write(state.Cluster("http://127.0.0.1:1", closed, listening, 2, "1.19.3", HERE, "/f", {}, code))
    assert (
        f"job_endpoint: {closed} is not reachable. Expected an engine there. Next: millrace cluster status"
        in _refused()
    )


def test_nothing_is_refused_with_all_in_buckets(listening: str) -> None:
    docker = (f"job_endpoint={listening}", "environment_type=DOCKER", "sdk_container_image=r/i:1")
    _check(*docker, root="s3://b/runs", data="s3://b/rows.csv", predict="s3://b/new/")
    dataflow = ("project=p", "region=r", "temp_location=gs://b/t", "sdk_container_image=r/i:1")
    _check(*dataflow, beam_runner="dataflow", root="gs://b/runs", data="gs://b/rows.csv", predict="gs://b/new/")


def test_what_a_prediction_s_workers_have_to_reach(listening: str) -> None:
    near = RunConfig("t", beam_runner="flink", beam_options=(f"job_endpoint={listening}",))
    checks.check_prediction(near, "rows.csv", "out")
    checks.check_prediction(RunConfig("t"), "rows.csv", "out")
    docker = (f"job_endpoint={listening}", "environment_type=DOCKER")
    far = RunConfig("t", beam_runner="flink", beam_options=docker)
    checks.check_prediction(far, "s3://b/rows.csv", "s3://b/out/")
    with pytest.raises(UsageError, match="--out: workers on containers can't reach out") as refused:
        checks.check_prediction(far, "s3://b/rows.csv", "out")
    assert "--data" not in str(refused.value)
    checks.check_prediction(
        RunConfig("t", beam_runner="flink", beam_options=(*docker, "shared_folders=true")), "rows.csv", "out"
    )


def test_dataflow_needs_project_region_and_buckets() -> None:
    said = _refused("temp_location=s3://b/t", beam_runner="dataflow")
    for expected in (
        "project: dataflow needs it. Expected --beam project=my-project",
        "region: dataflow needs it. Expected --beam region=europe-west4",
        "temp_location: expected gs://BUCKET/FOLDER. Received: s3://b/t",
        "--root /r: Dataflow can't reach it. Expected gs://BUCKET/FOLDER",
        "--data: workers on Dataflow can't reach",
    ):
        assert expected in said


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/x/beam-runners-flink-1.19-job-server-2.77.0.jar", ("1.19", "2.77.0")),
        ("https://host/beam-runners-spark-3-job-server-2.77.0.jar", ("3", "2.77.0")),
        ("/x/job-server.jar", None),
    ],
)
def test_a_jar_s_name_says_its_versions(path: str, expected: tuple[str, str] | None) -> None:
    assert versions.of_jar(path) == expected

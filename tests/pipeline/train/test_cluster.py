"""TF_CONFIG: what it says, what is wrong with it; ports."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.train import cluster
from pipeline.train.cluster import Cluster, Member

PAIR = {"worker": ["a:1", "b:2"]}
SERVED = {"chief": ["c:1"], "worker": ["a:1", "b:2"], "ps": ["s:9"]}


def config(addresses: Any, kind: Any = "worker", index: Any = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": addresses, "task": {"type": kind, "index": index}})}


def test_there_is_no_cluster_without_the_variable() -> None:
    assert cluster.given("multi_worker", {}) is None
    assert cluster.given("multi_worker", {"TF_CONFIG": "  "}) is None


def test_members_come_in_the_order_of_their_ranks() -> None:
    found, member = cluster.given("multi_worker", config(PAIR, index=1)) or pytest.fail("nothing given")
    assert member == Member("worker", 1)
    assert found.chief == Member("worker", 0)
    assert found.trainers == (Member("worker", 0), Member("worker", 1))
    named, _ = cluster.given("multi_worker", config({"worker": ["a:1"], "chief": ["c:1"]})) or pytest.fail("nothing")
    assert named.trainers == (Member("chief", 0), Member("worker", 0))
    served, me = cluster.given("parameter_server", config(SERVED, "ps")) or pytest.fail("nothing given")
    assert me == Member("ps", 0)
    assert served.members == (Member("chief", 0), Member("worker", 0), Member("worker", 1), Member("ps", 0))
    assert (served.port(me), str(me)) == (9, "ps 0")


def test_a_members_config_is_the_cluster_and_its_task() -> None:
    found = Cluster({"worker": ("a:1", "b:2"), "ps": ()})
    assert json.loads(found.config(Member("worker", 1))) == {
        "cluster": {"worker": ["a:1", "b:2"]},
        "task": {"type": "worker", "index": 1},
    }


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{oops", "TF_CONFIG is not JSON: .*Expected such as .*Received: {oops"),
        ("[1]", 'no "cluster": expected'),
        ("{}", 'no "task": expected'),
        (config({"worker": "a:1"})["TF_CONFIG"], r"cluster.worker: expected a list of host:port. Received: 'a:1'"),
        (config({"worker": ["a"]})["TF_CONFIG"], r"cluster.worker\[0\]: expected host:port. Received: 'a'"),
        (config({"worker": ["a:70000"]})["TF_CONFIG"], r"cluster.worker\[0\]: expected host:port. Received: 'a:70000'"),
        (config({"worker": ["a:1", "a:1"]})["TF_CONFIG"], "cluster: 'a:1' is there twice"),
        (config({"wroker": ["a:1"]})["TF_CONFIG"], "cluster: no kind 'wroker'. Did you mean 'worker'"),
        (config(PAIR, "ps")["TF_CONFIG"], "task.type: not in the cluster"),
        (config(PAIR, index=2)["TF_CONFIG"], "task.index: expected 0 to 1, of cluster.worker. Received: 2"),
        (config(PAIR, index="0")["TF_CONFIG"], "task.index: expected 0 to 1, of cluster.worker. Received: '0'"),
        (config(SERVED)["TF_CONFIG"], "multi_worker has no ps. Next: --strategy parameter_server"),
        (config({"chief": ["a:1"]}, "chief")["TF_CONFIG"], "multi_worker needs a worker. Received: none"),
    ],
)
def test_what_is_wrong_is_said_with_the_text(text: str, rule: str) -> None:
    with pytest.raises(UsageError, match=rule) as caught:
        cluster.given("multi_worker", {"TF_CONFIG": text})
    assert text[:100] in str(caught.value)


def test_what_parameter_server_lacks_is_listed_at_once() -> None:
    with pytest.raises(UsageError, match=r"needs one chief. Received: 0") as caught:
        cluster.given("parameter_server", config(PAIR))
    assert "parameter_server needs a ps. Received: none" in str(caught.value)


def test_the_chief_runs_the_pipeline_and_no_other() -> None:
    with pytest.raises(UsageError, match=r"TF_CONFIG names this process worker 1. Next: run `millrace worker`"):
        cluster.check_here("multi_worker", config(PAIR, index=1))
    with pytest.raises(UsageError, match=r"names this process chief 0. Next: run `local_runner.py`"):
        cluster.helping(config(SERVED, "chief"))
    assert cluster.helping(config(SERVED, "ps"))[1] == Member("ps", 0)
    assert cluster.helping(config(PAIR, index=1))[1] == Member("worker", 1)
    with pytest.raises(UsageError, match=r"there is no TF_CONFIG. Expected such as"):
        cluster.helping({})


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_said_before_anything_starts(taken: int) -> None:
    with pytest.raises(UsageError, match=rf"worker 0: port {taken}: Address already in use") as caught:
        cluster.check_here("multi_worker", config({"worker": [f"127.0.0.1:{taken}", "b:2"]}))
    assert "give other ports in TF_CONFIG" in str(caught.value)


def test_a_cluster_of_this_machine_has_free_ports_of_its_own() -> None:
    pair = cluster.on_this_machine("multi_worker", 3, 1)
    assert [str(member) for member in pair.members] == ["worker 0", "worker 1", "worker 2"]
    served = cluster.on_this_machine("parameter_server", 2, 1)
    assert [str(member) for member in served.members] == ["chief 0", "worker 0", "worker 1", "ps 0"]
    assert len({served.port(member) for member in served.members}) == 4
    cluster.check_ports(served, served.members)

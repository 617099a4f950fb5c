"""Where engines and their workers are."""

import pytest

from pipeline.beam import place

FLINK = ("job_endpoint", "flink_master")


@pytest.mark.parametrize("address", ["localhost:8081", "127.0.0.1:1", "http://[::1]:8081", "[auto]", "local[2]"])
def test_addresses_of_this_machine(address: str) -> None:
    assert place.is_here(address)


@pytest.mark.parametrize("address", ["flink:8081", "10.0.0.1:1", "spark://master:7077", "yarn", "0.0.0.0:1", ""])
def test_addresses_of_others(address: str) -> None:
    assert not place.is_here(address)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"job_endpoint": "localhost:1"}, "containers"),
        ({"job_endpoint": "localhost:1", "environment_type": "LOOPBACK"}, None),
        ({"job_endpoint": "jobs:1", "environment_type": "LOOPBACK"}, None),
        ({"job_endpoint": "localhost:1", "environment_type": "PROCESS"}, None),
        ({"flink_master": "http://flink:8081", "environment_type": "PROCESS"}, "flink"),
        (
            {"job_endpoint": "localhost:1", "environment_type": "EXTERNAL", "environment_config": "127.0.0.1:5"},
            None,
        ),
        # Beside a TaskManager on another machine, whose own loopback this is.
        (
            {"job_endpoint": "jobs:1", "environment_type": "EXTERNAL", "environment_config": "localhost:5"},
            "jobs",
        ),
        (
            {"job_endpoint": "localhost:1", "environment_type": "EXTERNAL", "environment_config": '{"url": "pool:5"}'},
            "pool",
        ),
        (
            {
                "job_endpoint": "localhost:1",
                "environment_type": "EXTERNAL",
                "environment_option": "external_service_address=pool:5",
            },
            "pool",
        ),
        ({"job_endpoint": "localhost:1", "environment_type": "EXTERNAL"}, "an unknown host"),
    ],
)
def test_workers_that_do_not_see_this_machine_s_folders(options: dict[str, str], expected: str | None) -> None:
    assert place.workers(options, FLINK) == expected


def test_dataflow_is_elsewhere() -> None:
    assert place.workers({}, ()) == "Dataflow"


@pytest.mark.parametrize(
    ("address", "expected"),
    [("a:5", 5), ("http://a:5/x", 5), ("spark://a:7077", 7077), ("a", None), ("local[2]", None)],
)
def test_ports(address: str, expected: int | None) -> None:
    assert place.port(address) == expected

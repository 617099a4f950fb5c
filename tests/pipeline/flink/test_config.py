"""The configuration that Flink is started with."""

from pathlib import Path

import pytest
import yaml

from pipeline.errors import UsageError
from pipeline.flink import config


def test_memory_is_divided() -> None:
    memory = config.Memory.of(1024)
    assert (memory.heap, memory.network, memory.managed) == (240, 96, 144)
    assert config.java_options(memory) == [
        "-Xmx368m",
        "-XX:MaxDirectMemorySize=160m",
        "-XX:MaxMetaspaceSize=256m",
    ]


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--memory is too little\. Expected: 768 or more\. Received: 767"):
        config.Memory.of(767)


def test_ports_are_free_and_differ() -> None:
    ports = config.free_ports()
    assert len({ports.rest, ports.rpc, ports.job, ports.artifacts, ports.pool}) == 5


def test_the_file_says_loopback_and_what_start_scripts_would(tmp_path: Path) -> None:
    conf = config.write(tmp_path, config.Ports(1, 2, 3, 4, 5), 3, config.Memory.of(1024))
    written = yaml.safe_load((conf / "config.yaml").read_text())
    assert {name: written[name] for name in written if "address" in name or "host" in name} == dict.fromkeys(
        [
            *("jobmanager.rpc.address", "jobmanager.bind-host", "rest.address", "rest.bind-address"),
            *("taskmanager.host", "taskmanager.bind-host"),
        ],
        "127.0.0.1",
    )
    assert (written["rest.port"], written["jobmanager.rpc.port"]) == (1, 2)
    assert (written["taskmanager.numberOfTaskSlots"], written["parallelism.default"]) == (3, 3)
    megabytes = [
        int(written[f"taskmanager.memory.{name}"].removesuffix("m"))
        for name in (
            *("framework.heap.size", "framework.off-heap.size", "task.heap.size", "task.off-heap.size"),
            *("network.min", "managed.size", "jvm-metaspace.size", "jvm-overhead.min"),
        )
    ]
    assert sum(megabytes) == 1024
    assert written["restart-strategy.fixed-delay.attempts"] == 3
    assert written["io.tmp.dirs"] == str(tmp_path / "tmp")

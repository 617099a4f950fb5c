"""Distribution strategies by name: how the steps of a training are spread over devices and processes.

    one_device        one GPU where there is one, or else the CPU
    mirrored          a replica on each GPU; each takes its share of a batch, and their gradients are summed
    central_storage   the same, with the weights in one place, the CPU, instead of on each device
    tpu               a replica on each core of a TPU
    multi_worker      mirrored over processes, on this machine or on several
    parameter_server  processes that each take whole batches and update weights which servers hold, without waiting
    auto              mirrored where there are two GPUs or more, and else one_device

`strategy` makes those that need one process; `pipeline.train.cluster` is about those that need several.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError, nearest

if TYPE_CHECKING:
    import tensorflow as tf

NAMES = ("auto", "one_device", "mirrored", "central_storage", "tpu", "multi_worker", "parameter_server")
OF_PROCESSES = ("multi_worker", "parameter_server")
"""Those that need several processes."""
OF_REPLICAS = ("mirrored", "central_storage")
"""Those with a replica for each device of one process."""
_TPU_VARIABLES = ("TPU_NAME", "KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS", "TPU_WORKER_HOSTNAMES")
_TPU_SECONDS = 10.0
_TPU_DEVICES = ("accel*", "vfio/[0-9]*")


def strategy(name: str, replicas: int | None = None) -> "tf.distribute.Strategy":
    """The strategy of that name in this process.

    Args:
      name: one that needs one process.
      replicas: how many, of those that have a replica for each device; None: as many as there are GPUs, or CPUs where
        there is no GPU.

    Raises:
      UsageError: no such strategy, or this machine does not have what it needs.
    """
    import tensorflow as tf

    if name not in NAMES or name in OF_PROCESSES:
        raise UsageError(f"Unknown strategy {name!r}.{nearest(name, set(NAMES) - set(OF_PROCESSES))}")
    if name == "tpu":
        return _tpu()
    gpus = tf.config.list_logical_devices("GPU")
    if name in OF_REPLICAS or (name == "auto" and len(gpus) > 1):
        devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
        if replicas is not None and replicas > len(devices):
            raise UsageError(
                f"strategy {name}: expected as many devices as --workers. Received: --workers {replicas}, "
                f"{', '.join(devices)}. Next: --workers {len(devices)}, or leave it out"
            )
        chosen = devices[:replicas]
        if name == "central_storage":
            return tf.distribute.experimental.CentralStorageStrategy(chosen)
        return tf.distribute.MirroredStrategy(chosen)
    # On a lone CPU the default strategy does what OneDeviceStrategy does, without its redistribution of each batch.
    return tf.distribute.OneDeviceStrategy(gpus[0].name) if gpus else tf.distribute.get_strategy()


def wants_logical_cpus(name: str, replicas: int | None) -> bool:
    """Whether a CPU has to stand for several devices: replicas are asked for by number, and there is no GPU.

    TensorFlow divides a CPU only before its first use, so that such a training has a process of its own.
    """
    import tensorflow as tf

    return name in OF_REPLICAS and (replicas or 1) > 1 and not tf.config.list_physical_devices("GPU")


def divide_cpu(name: str, replicas: int | None) -> None:
    """Makes logical devices of the CPU where `wants_logical_cpus` says so; TensorFlow must not have been used yet."""
    import tensorflow as tf

    if wants_logical_cpus(name, replicas):
        cpu = tf.config.list_physical_devices("CPU")[0]
        part = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [part] * (replicas or 1))


def remark(name: str, replicas: int | None) -> str:
    """What is worth knowing of a strategy on this machine, though it works; else nothing."""
    import tensorflow as tf

    if name not in OF_REPLICAS or len(tf.config.list_physical_devices("GPU")) > 1:
        return ""
    if tf.config.list_physical_devices("GPU"):
        return f"strategy {name}: there is one GPU, so it trains as one_device does, and no faster."
    if (replicas or 1) > 1:
        return (
            f"strategy {name}: there is no GPU: {replicas} logical devices share the CPU, which is no faster than one."
        )
    return (
        f"strategy {name}: there is one device, the CPU, so it trains as one_device does, and no faster. "
        "Next: --workers 2 makes two logical devices of it, to try the strategy out"
    )


def check(name: str, environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> None:
    """Finds out without TensorFlow whether a strategy can't work here.

    Raises:
      UsageError: it needs a TPU, and there is no sign of one.
    """
    if name != "tpu" or any(environment.get(variable) for variable in _TPU_VARIABLES):
        return
    if not any(True for pattern in _TPU_DEVICES for _ in devices.glob(pattern)):
        raise UsageError(
            "strategy tpu: there is no TPU. Expected: its name or grpc:// address in TPU_NAME, or a TPU of this machine, "
            f"{devices}/accel* or {devices}/vfio/*. Received: neither. Next: --strategy auto, or export TPU_NAME=…"
        )


def _tpu() -> "tf.distribute.Strategy":
    """Connects to the TPU that TPU_NAME names, or to this machine's own ("local"), and prepares it."""
    import tensorflow as tf

    check("tpu")
    name = os.environ.get("TPU_NAME", "local")
    try:
        if name.startswith("grpc://"):
            # TensorFlow would wait for it without an end.
            host, _, port = name.removeprefix("grpc://").rpartition(":")
            socket.create_connection((host, int(port)), _TPU_SECONDS).close()
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except Exception as error:  # The resolver, gRPC and the TPU's own library each raise errors of their own.
        reason = next((line for line in str(error).splitlines() if line.strip()), "without a word")
        raise UsageError(
            f"strategy tpu: the TPU TPU_NAME={name!r} could not be prepared: {type(error).__name__}: {reason[:400]}. "
            "Next: check the name and that the TPU is running, or --strategy auto"
        ) from error
    return tf.distribute.TPUStrategy(resolver)

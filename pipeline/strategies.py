"""Distribution strategies by name."""

from typing import TYPE_CHECKING

from pipeline.errors import UsageError, nearest

if TYPE_CHECKING:
    import tensorflow as tf

NAMES = ("auto", "one_device", "mirrored")


def strategy(name: str) -> "tf.distribute.Strategy":
    """The strategy of that name.

    "auto" mirrors over the GPUs where there are two or more, and else uses one device; "mirrored" asks for replicas on
    all GPUs, or on all logical CPUs where there is no GPU.

    Raises:
      UsageError: no such strategy.
    """
    import tensorflow as tf

    if name not in NAMES:
        raise UsageError(f"Unknown strategy {name!r}.{nearest(name, NAMES)}")
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy([device.name for device in gpus or tf.config.list_logical_devices("CPU")])
    # On a lone CPU the default strategy does what OneDeviceStrategy does, without its redistribution of each batch.
    return tf.distribute.OneDeviceStrategy(gpus[0].name) if gpus else tf.distribute.get_strategy()

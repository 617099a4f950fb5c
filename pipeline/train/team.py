"""What a training loop asks of its strategy: whose rows, where the weights are, how steps are run, what all agree on.

The loop is the same in every process of every strategy. The chief alone writes logs and checkpoints and validates; what
it decides from that, it tells the others by `agree`.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline import strategies
from pipeline.errors import MillraceError
from pipeline.train.cluster import Cluster, Member
from pipeline.training import Training

_DIGEST_BITS = 62
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """A part of each batch: part `index` of `count`."""

    index: int = 0
    count: int = 1

    def of(self, rows: tf.Tensor) -> tf.Tensor:
        """Its rows of a batch; parts differ by one row at most, and together are the batch."""
        total = tf.shape(rows)[0]
        return rows[self.index * total // self.count : (self.index + 1) * total // self.count]


@dataclass(frozen=True)
class Team:
    """This process's part in a training.

    Attributes:
      strategy: what runs the replicas, or None: steps run as they are, in one replica.
      rank: of this process among those that run the loop; the chief's is 0.
      size: how many processes run the loop.
      coordinator: of the workers that steps are sent to, under parameter_server, or None.
      workers: how many these are.
    """

    strategy: tf.distribute.Strategy | None = None
    rank: int = 0
    size: int = 1
    coordinator: Any = None
    workers: int = 0

    @property
    def chief(self) -> bool:
        """Whether this process validates, writes logs and checkpoints, and has the result."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        """Which rows of each batch this process reads."""
        return Share(self.rank, self.size)

    @property
    def replicas(self) -> int:
        """Parts that a batch is computed in."""
        return self.strategy.num_replicas_in_sync if self.strategy and not self.coordinator else 1

    def weights(self) -> contextlib.AbstractContextManager[Any]:
        """Where the model and its optimizer are made: on the servers where there are some."""
        return self.coordinator.strategy.scope() if self.coordinator else contextlib.nullcontext()

    def batches(self, make: Callable[[], tf.data.Dataset]) -> Iterator[Any]:
        """Batches for `run`.

        Args:
          make: this process's rows of all batches; under parameter_server called for each worker, which takes every
            n-th batch.
        """
        if self.coordinator:

            def turns() -> tf.data.Dataset:
                turn = tf.distribute.coordinator.experimental_get_current_worker_index()
                # A fast worker, or the one that is left, takes more than its turns, and begins anew.
                return make().shard(self.workers, turn).repeat()

            return iter(self.coordinator.create_per_worker_dataset(turns))
        if self.strategy is None:
            return iter(make())
        # Of a data set that ends, processes would ask one another before each batch whether there is another.
        if self.size > 1:
            return iter(self.strategy.distribute_datasets_from_function(lambda context: make().repeat()))
        return iter(self.strategy.experimental_distribute_dataset(make().repeat()))

    def run(self, steps: Callable[[Any, tf.Tensor], tf.Tensor], batches: Iterator[Any], count: int) -> np.ndarray:
        """Runs steps.

        Args:
          steps: of `pipeline.train.step.Step.steps`.
          batches: of `batches`.
          count: how many steps.

        Returns:
          [sum of their losses, number of finite ones, last finite loss]; the same in all processes.
        """
        if not self.coordinator:
            return np.asarray(steps(batches, tf.constant(count)))
        workers = min(count, self.workers)
        parts = [count // workers + (number < count % workers) for number in range(workers)]
        results = [self.coordinator.schedule(steps, args=(batches, tf.constant(part))) for part in parts]
        self.coordinator.join()
        found = np.array([result.fetch() for result in results])
        return np.array([*found[:, :2].sum(0), found[-1, 2]])

    def agree(self, decision: int) -> int:
        """What the chief decides, a number or a truth value; the others wait for it here.

        How many steps make a call is such a decision: TensorFlow pairs the sums of two processes by the number of the
        loop's turn within the call, and would wait for ever where calls differ in length.
        """
        return self._summed(int(decision) if self.chief else 0)

    def check_same(self, what: str, digest: int) -> None:
        """Makes sure that all processes begin alike.

        Args:
          what: it is of, for the message.
          digest: a number that differs where this differs.

        Raises:
          MillraceError: it does.
        """
        own = digest % (1 << _DIGEST_BITS)
        chiefs = self._summed(own if self.chief else 0)
        differing = self._summed(int(own != chiefs))
        if differing:
            raise MillraceError(
                f"strategy multi_worker: {differing} of {self.size} processes begin with another {what} than the chief. "
                "Expected: the same on all. Next: give all machines the same version of Millrace and the same storage"
            )

    def _summed(self, number: int) -> int:
        """Of all processes."""
        return number if self.size == 1 else int(self._sum(tf.constant(number, tf.int64)))

    @functools.cached_property
    def _sum(self) -> Callable[[tf.Tensor], tf.Tensor]:
        def one(value: tf.Tensor) -> tf.Tensor:
            # The identity is placed on the replica's device, which all_reduce looks for.
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))

        strategy = self.strategy
        assert strategy is not None  # noqa: S101
        return tf.function(lambda value: strategy.run(one, args=(value,)), autograph=False)


def team_of(training: Training, given: tuple[Cluster, Member] | None = None) -> Team:
    """This process's part in a training; called before TensorFlow is used where other processes take part.

    Args:
      training: its settings.
      given: the cluster and which member this process is, where there are others.

    Raises:
      UsageError: the strategy can't work here.
    """
    if given and training.strategy == "multi_worker":
        cluster, member = given
        together = tf.distribute.MultiWorkerMirroredStrategy()
        return Team(together, rank=cluster.trainers.index(member), size=len(cluster.trainers))
    if given:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        servers = tf.distribute.ParameterServerStrategy(resolver)
        coordinator = tf.distribute.coordinator.ClusterCoordinator(servers)
        return Team(coordinator=coordinator, workers=len(given[0].addresses["worker"]))
    if note := strategies.remark(training.strategy, training.workers):
        _LOG.warning(note)
    strategies.divide_cpu(training.strategy, training.workers)
    found = strategies.strategy(training.strategy, training.workers)
    return Team(found if found.num_replicas_in_sync > 1 else None)

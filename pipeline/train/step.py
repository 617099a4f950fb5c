"""One gradient step, the same under every strategy.

Model and optimizer are plain Keras objects; a strategy only runs the replicas and sums what they give. Keras 3's own `fit`
fails under the strategies of several processes (its variables and its data are not what they expect), this does not.
The gradient is that of the mean loss over all rows of all replicas, also where these have unequal parts of a batch.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

Losses = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
_REPLICA_SEEDS = 1_000_003


class Gradients(NamedTuple):
    """What one replica, or after summing all of them, found in a batch.

    Attributes:
      loss: the mean over the rows, with what is added for regularisation.
      gradients: of it, for each trainable variable; None where it does not depend on it.
      updates: what becomes of each of the other variables.
    """

    loss: tf.Tensor
    gradients: list[Any]
    updates: list[Any]


class Step:
    """The step of a model in one of its phases."""

    def __init__(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, losses: Losses, *, precise: bool, jit: bool
    ) -> None:
        """Looks at what is trainable now.

        Args:
          model: inputs -> scores.
          optimizer: built.
          losses: target and scores, float32, to the loss of each row.
          precise: whether a gradient that is not finite is an error; with a scaled loss it is not.
          jit: whether XLA compiles the computation.
        """
        self._model, self._optimizer, self._losses, self._precise = model, optimizer, losses, precise
        self._trained = list(model.trainable_variables)
        self._others = list(model.non_trainable_variables)
        # Layers keep the state of their random numbers in variables that `weights` leaves out.
        weights = {id(variable) for variable in model.weights}
        self._is_seed = [id(variable) not in weights for variable in self._others]
        replica: Callable[..., tuple[Any, ...]] = self._replica
        self._compute = tf.function(replica, jit_compile=True, autograph=False) if jit else replica

    def steps(
        self, strategy: tf.distribute.Strategy | None, servers: tf.distribute.Strategy | None = None
    ) -> Callable[[Iterator[Any], tf.Tensor], tf.Tensor]:
        """A tf.function that runs a number of steps and ends early where something is not finite.

        Its loop is written as a graph's: AutoGraph would read the source of all that it calls, Keras's included, which
        takes longer than a thousand steps of a small model. Keras's own `fit` does without it, too.

        Args:
          strategy: what runs the replicas, or None where there is one.
          servers: of parameter_server, whose workers run whole steps.

        Returns:
          A function of batches and a number of steps. It gives float64 [3]: the sum of the losses of the finite steps,
          how many these are, and the last finite loss. The step that follows them was not finite if there are fewer
          than asked.
        """

        def local(batch: Any) -> tuple[tf.Tensor, tf.Tensor]:
            return self._step(batch, strategy)

        def one(batch: Any) -> Any:
            if servers is None:
                return local(batch)
            return servers.experimental_local_results(servers.run(local, args=(batch,)))[0]

        def run(batches: Iterator[Any], count: tf.Tensor) -> tf.Tensor:
            def goes_on(done: tf.Tensor, good: tf.Tensor, total: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
                return tf.logical_and(done < count, good)

            def turn(done: tf.Tensor, good: tf.Tensor, total: tf.Tensor, last: tf.Tensor) -> tuple[tf.Tensor, ...]:
                loss, good = one(next(batches))
                found = tf.cast(loss, tf.float64)
                counted = tf.where(good, found, tf.zeros_like(found))
                return done + tf.cast(good, tf.int32), good, total + counted, tf.where(good, found, last)

            zero = tf.constant(0.0, tf.float64)
            done, _, total, last = tf.while_loop(goes_on, turn, (tf.constant(0), tf.constant(True), zero, zero))
            return tf.stack([total, tf.cast(done, tf.float64), last])

        graph: Callable[[Iterator[Any], tf.Tensor], tf.Tensor] = tf.function(
            run, reduce_retracing=True, autograph=False
        )
        return graph

    def _step(self, batch: Any, strategy: tf.distribute.Strategy | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes and applies; gives the loss, and whether all was finite."""
        if strategy is None:
            found = self._mean(self._compute(*batch, 0), None)
        else:
            of_all = strategy.run(self._of_replica, args=(batch,))
            found = tf.nest.map_structure(lambda part: strategy.experimental_local_results(part)[0], of_all)
        good = tf.math.is_finite(found.loss)
        if self._precise:
            sums = [
                tf.reduce_sum(g.values if isinstance(g, tf.IndexedSlices) else g)
                for g in found.gradients
                if g is not None
            ]
            good &= tf.math.is_finite(tf.add_n([tf.cast(total, tf.float32) for total in sums]))
        self._optimizer.apply(found.gradients, self._trained)
        for variable, update, is_seed in zip(self._others, found.updates, self._is_seed, strict=True):
            if update is not None:
                variable.assign_add(update) if is_seed else variable.assign(update)
        return found.loss, good

    def _of_replica(self, batch: Any) -> Gradients:
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return self._mean(self._compute(*batch, 0), None)
        return self._mean(self._compute(*batch, context.replica_id_in_sync_group), context)

    def _replica(self, inputs: dict[str, tf.Tensor], target: tf.Tensor, replica: tf.Tensor | int) -> tuple[Any, ...]:
        """Sums over one replica's rows: loss, number of rows, gradients, updates; the scope keeps variables as they are."""
        before = [
            variable.value + tf.stack([tf.cast(replica, variable.dtype) * _REPLICA_SEEDS, tf.zeros([], variable.dtype)])
            if is_seed
            else tf.convert_to_tensor(variable.value)
            for variable, is_seed in zip(self._others, self._is_seed, strict=True)
        ]
        with tf.GradientTape() as tape:
            with keras.StatelessScope(
                state_mapping=list(zip(self._others, before, strict=True)), collect_losses=True
            ) as scope:
                scores = tf.cast(self._model(inputs, training=True), tf.float32)
            added = [v.regularizer(v.value) for v in self._trained if v.regularizer is not None]
            added += [loss[1] if isinstance(loss, tuple) else loss for loss in scope.losses]
            losses = self._losses(target, scores)
            rows = tf.cast(tf.size(losses), tf.float32)
            loss = tf.math.divide_no_nan(tf.reduce_sum(losses), rows)
            if added:
                loss += tf.add_n([tf.cast(penalty, tf.float32) for penalty in added])
            scaled = self._optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in self._trained])
        after = [scope.get_current_value(variable) for variable in self._others]
        updates = [
            None if new is None or new is old else new - old if is_seed else new
            for new, old, is_seed in zip(after, before, self._is_seed, strict=True)
        ]
        return loss, rows, gradients, updates

    def _mean(self, found: tuple[Any, ...], context: Any) -> Gradients:
        """Over the rows of all replicas; moving statistics likewise."""
        loss, rows, gradients, updates = found
        if context is None:
            return Gradients(loss, list(gradients), list(updates))
        averaged = [u is not None and not s for u, s in zip(updates, self._is_seed, strict=True)]
        parts = [loss, *(g for g in gradients if g is not None), *_where(updates, averaged)]
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [rows, *(_times(part, rows) for part in parts)])
        means = iter([_times(total, 1.0 / sums[0]) for total in sums[1:]])
        return Gradients(
            next(means),
            [None if gradient is None else next(means) for gradient in gradients],
            [next(means) if wanted else update for update, wanted in zip(updates, averaged, strict=True)],
        )


def _where(values: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
    return [value for value, keep in zip(values, wanted, strict=True) if keep]


def _times(value: Any, factor: tf.Tensor) -> Any:
    if isinstance(value, tf.IndexedSlices):
        return tf.IndexedSlices(value.values * tf.cast(factor, value.dtype), value.indices, value.dense_shape)
    return value * tf.cast(factor, value.dtype)

"""Batching when free: requests that wait while a model is busy are run together.

    answers = await Batcher(model, "taxi_tips", Limits(), Metrics()).run(signature, inputs, (), None)

Requests of one signature, outputs and form (dtypes, and all dimensions but the first) are laid one below the other, up
to `Limits.batch_rows`, run once, and the answers are cut apart. What may not be merged is run alone:

- The signature's inputs and outputs need a free first dimension, and all other dimensions of the outputs must be fixed:
  padding of one request would show in another's answer.
- An output whose first dimension is not the number of rows (a list of class names) can't be cut; see `lanes.Lane`.
- When a merged run fails, each of its requests is run alone, so that none fails for another.

Before a run the event loop goes round a dozen times, so that requests that have arrived and are not yet read come along:
gRPC takes some rounds from a socket to a request. No timer is waited for: a lone request is answered 0.03 ms later for
it, and a quarter more (8 connections) to twice as many (64, gRPC) are answered a second.

A model that answers within half a millisecond is run right in the event loop: two threads that hand the interpreter to
each other cost more than that. All others run in a thread of the batcher's, so that the event loop goes on taking
requests, which are merged next.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from serving.errors import Code, ServingError
from serving.lanes import Lane, rows_of, size_of
from serving.metrics import Metrics
from serving.session import SessionModel, Signature
from serving.settings import Limits

_MEBIBYTE = 1 << 20
_LANES = 256
_ROUNDS = 12
_Outcome = dict[str, np.ndarray] | ServingError


class _Request:
    """One that waits."""

    __slots__ = ("form", "future", "inputs", "lane", "rows", "size")

    def __init__(self, lane: Lane, inputs: Mapping[str, np.ndarray], future: "asyncio.Future[_Outcome]") -> None:
        self.lane = lane
        self.inputs = inputs
        self.future = future
        self.rows = rows_of(inputs)
        self.size = size_of(inputs)
        self.form: Hashable | None = lane.form(inputs)


class Batcher:
    """Runs one version of a model; used from one event loop at a time."""

    def __init__(self, model: SessionModel, name: str, limits: Limits, metrics: Metrics) -> None:
        """Nothing is started before the first request.

        Args:
          model: what is run.
          name: of the model, in the metrics.
          limits: rows and queue.
          metrics: told of each run.
        """
        self._model = model
        self._name = name
        self._limits = limits
        self._metrics = metrics
        self._lanes: dict[tuple[str, tuple[str, ...]], Lane] = {}
        self._waiting: deque[_Request] = deque()
        self._waiting_bytes = 0
        self._busy = False
        self._work: queue.SimpleQueue[tuple[list[_Request], asyncio.AbstractEventLoop] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(
        self, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: tuple[str, ...], deadline: float | None
    ) -> dict[str, np.ndarray]:
        """Answers a request; see Servable.run."""
        loop = asyncio.get_running_loop()
        lane = self._lane(signature, outputs)
        future: asyncio.Future[_Outcome] = loop.create_future()
        request = _Request(lane, inputs, future)
        self._admit(request)
        left = self._limits.timeout_seconds
        if deadline is not None:
            left = min(left, deadline - time.monotonic())
        timer = loop.call_later(max(left, 0.0), self._expire, request)
        self._waiting.append(request)
        self._waiting_bytes += request.size
        self._metrics.waiting(self._name, 1)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._gather, loop, _ROUNDS)
        try:
            outcome = await future
        except asyncio.CancelledError:
            self._drop(request)
            raise
        finally:
            timer.cancel()
        if isinstance(outcome, ServingError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Waits for the run that is under way; no request may wait any more."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None

    def _lane(self, signature: Signature, outputs: tuple[str, ...]) -> Lane:
        key = (signature.name, outputs)
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= _LANES:  # Requests can choose outputs in very many ways; all outputs are one.
                key, outputs = (signature.name, ()), ()
            lane = self._lanes.setdefault(key, Lane(signature, outputs))
        return lane

    def _admit(self, request: _Request) -> None:
        limits = self._limits
        if request.rows > limits.rows:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"The request has too many rows. Expected at most {limits.rows}. Received: {request.rows}",
            )
        full = len(self._waiting) >= limits.queue
        if full or (self._waiting and self._waiting_bytes + request.size > limits.queue_mb * _MEBIBYTE):
            raise ServingError(
                Code.RESOURCE_EXHAUSTED, f"The queue of model {self._name} is full: {len(self._waiting)} requests wait."
            )

    def _expire(self, request: _Request) -> None:
        if not request.future.done():
            request.future.set_result(ServingError(Code.DEADLINE_EXCEEDED, "The request was not answered in time."))
            self._drop(request)

    def _drop(self, request: _Request) -> None:
        """Takes a request off the queue, if it is still there."""
        try:
            self._waiting.remove(request)
        except ValueError:
            return
        self._waiting_bytes -= request.size
        self._metrics.waiting(self._name, -1)

    def _gather(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        """Lets the event loop go round, and then runs what waits."""
        if rounds and len(self._waiting) < self._limits.batch_rows:
            loop.call_soon(self._gather, loop, rounds - 1)
        else:
            self._next(loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs what comes next, here or in the thread; in the event loop."""
        batch = self._take()
        if not batch:
            self._busy = False
            return
        if batch[0].lane.quick(sum(request.rows for request in batch), sum(request.size for request in batch)):
            self._finish(batch, self._outcomes(batch), loop)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=f"run-{self._name}", daemon=True)
            self._thread.start()
        self._work.put((batch, loop))

    def _take(self) -> list[_Request]:
        """The request that waits longest, and those that can be merged with it."""
        if not self._waiting:
            return []
        first = self._waiting.popleft()
        batch, rows, left = [first], first.rows, self._limits.batch_rows - first.rows
        if first.form is not None and self._waiting and left > 0:
            others: deque[_Request] = deque()
            for request in self._waiting:
                if request.form == first.form and request.rows <= left:
                    batch.append(request)
                    rows += request.rows
                    left -= request.rows
                else:
                    others.append(request)
            if len(batch) > 1 and not first.lane.may_run(rows):
                # One row less is another size; and with nothing known at all, each is run alone.
                while len(batch) > 1 and not first.lane.may_run(rows):
                    others.appendleft(batch.pop())
                    rows = sum(request.rows for request in batch)
            self._waiting = others
        self._waiting_bytes -= sum(request.size for request in batch)
        self._metrics.waiting(self._name, -len(batch))
        return batch

    def _serve(self) -> None:
        """The thread: runs what it is given."""
        while (work := self._work.get()) is not None:
            batch, loop = work
            outcomes = self._outcomes(batch)
            try:
                loop.call_soon_threadsafe(self._finish, batch, outcomes, loop)
            except RuntimeError:  # The loop was closed meanwhile: nobody waits for the answers.
                self._busy = False

    def _finish(self, batch: Sequence[_Request], outcomes: Sequence[_Outcome], loop: asyncio.AbstractEventLoop) -> None:
        """Hands the answers over, and goes on with what waits; in the event loop."""
        for request, outcome in zip(batch, outcomes, strict=True):
            if not request.future.done():
                request.future.set_result(outcome)
        if self._waiting:
            loop.call_soon(self._gather, loop, _ROUNDS)
        else:
            self._busy = False

    def _outcomes(self, batch: Sequence[_Request]) -> list[_Outcome]:
        """What each request of a batch is answered."""
        lane = batch[0].lane
        if len(batch) > 1:
            merged = {
                name: np.concatenate([request.inputs[name] for request in batch]) for name in lane.signature.inputs
            }
            rows = sum(request.rows for request in batch)
            answers = self._run(lane, merged, rows)
            if not isinstance(answers, ServingError) and lane.ran(rows, answers):
                return _cut(answers, [request.rows for request in batch])
        return [self._alone(lane, request) for request in batch]

    def _alone(self, lane: Lane, request: _Request) -> _Outcome:
        if request.future.done():  # Cancelled, or out of time.
            return ServingError(Code.CANCELLED, "The request was cancelled.")
        answers = self._run(lane, request.inputs, request.rows)
        if isinstance(answers, ServingError):
            if not request.rows:  # Graphs fail on no rows in many ways; the request is what is odd.
                return ServingError(Code.INVALID_ARGUMENT, f"The model fails on a request of no rows: {answers}")
        elif request.form is not None:
            lane.ran(request.rows, answers)
        return answers

    def _run(self, lane: Lane, inputs: Mapping[str, np.ndarray], rows: int) -> _Outcome:
        started = time.perf_counter()
        try:
            return self._model.run(lane.signature.name, inputs, lane.outputs)
        except ServingError as error:
            return error
        except Exception as error:  # A defect of ours or of TensorFlow: this request's, not the server's end.
            return ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}")
        finally:
            seconds = time.perf_counter() - started
            lane.took(rows, seconds)
            self._metrics.run(self._name, rows, seconds)


def _cut(answers: Mapping[str, np.ndarray], rows: Sequence[int]) -> list[_Outcome]:
    """Each request's own rows."""
    parts: list[_Outcome] = []
    start = 0
    for count in rows:
        parts.append({name: answer[start : start + count] for name, answer in answers.items()})
        start += count
    return parts

import asyncio
import threading
import time

import numpy as np
import pytest

from serving.batching import Batcher
from serving.errors import Code, ServingError
from serving.metrics import Metrics
from serving.session import SessionModel
from serving.settings import Limits


class Held:
    """A model whose runs wait until they are let go, and are counted by their rows."""

    def __init__(self, model):
        self.model, self.runs, self.go = model, [], threading.Event()

    def run(self, signature, inputs, outputs=()):
        assert self.go.wait(20)
        self.runs.append(next(len(array) for array in inputs.values()))
        return self.model.run(signature, inputs, outputs)


@pytest.fixture(scope="module")
def model(half_plus):
    model = SessionModel(half_plus / "1")
    yield model
    model.close()


@pytest.fixture
def ask(model):
    """A function: a signature, requests and limits, to what each is answered; all wait while the first one runs."""

    def run(signature, requests, limits=None, deadlines=(), know=()):
        held = Held(model)
        batcher = Batcher(held, "half", limits or Limits(), Metrics())
        asked = model.signatures[signature]

        async def one(values, deadline=None):
            try:
                answers = await batcher.run(asked, {"x": np.array(values, np.float32)}, (), deadline)
            except ServingError as error:
                return error
            return {name: array.tolist() for name, array in answers.items()}

        async def everything():
            held.go.set()
            for values in know:
                await one(values)
            held.runs.clear()
            held.go.clear()
            first = asyncio.create_task(one(requests[0]))
            await asyncio.sleep(0.02)
            rest = [
                asyncio.create_task(one(values, deadlines[place] if deadlines else None))
                for place, values in enumerate(requests[1:])
            ]
            await asyncio.sleep(0.1 if deadlines else 0.02)
            held.go.set()
            return await asyncio.gather(first, *rest)

        try:
            return asyncio.run(everything()), held.runs
        finally:
            batcher.close()

    return run


def test_requests_that_wait_are_run_together_and_each_gets_its_own_rows(ask):
    answers, runs = ask("serving_default", [[0.0], [2.0], [4.0, 6.0], [8.0]], know=([1.0], [1.0, 2.0]))
    assert answers == [{"y": [1.0]}, {"y": [2.0]}, {"y": [3.0, 4.0]}, {"y": [5.0]}]
    assert runs == [1, 4]


def test_nothing_is_merged_before_a_run_has_fitted(ask):
    answers, runs = ask("serving_default", [[0.0, 0.0], [2.0], [4.0]])
    assert answers[1:] == [{"y": [2.0]}, {"y": [3.0]}]
    # The first run had two rows: two rows are no proof that the answer has as many rows as the request.
    assert runs == [2, 1, 1]


def test_an_output_that_is_not_of_rows_is_never_cut(ask):
    for know in ((), ([1.0, 1.0],), ([1.0],)):
        answers, runs = ask("pair", [[0.0], [2.0], [4.0]], know=know)
        assert answers == [{"y": [y], "names": [b"a", b"b"]} for y in (1.0, 2.0, 3.0)]
        assert runs[-2:] == [1, 1]


def test_a_bad_request_fails_alone(ask):
    answers, runs = ask("picky", [[0.0], [2.0], [13.0], [4.0]], know=([1.0], [1.0, 2.0]))
    assert [answers[place] for place in (0, 1, 3)] == [{"y": [1.0]}, {"y": [2.0]}, {"y": [3.0]}]
    assert answers[2].code is Code.INVALID_ARGUMENT and "13 is refused" in answers[2].message
    assert runs == [1, 3, 1, 1, 1]


def test_requests_of_no_rows(ask):
    answers, _ = ask("serving_default", [[]])
    assert answers == [{"y": []}]
    answers, _ = ask("picky", [[]])
    assert answers[0].code is Code.INVALID_ARGUMENT


def test_limits(ask):
    answers, _ = ask("serving_default", [[0.0], [1.0], [2.0], [3.0]], Limits(queue=2))
    assert [getattr(one, "code", Code.OK) for one in answers] == [Code.OK, Code.OK, Code.OK, Code.RESOURCE_EXHAUSTED]
    answers, _ = ask("serving_default", [[0.0], [1.0] * 4], Limits(rows=3))
    assert answers[1].code is Code.INVALID_ARGUMENT
    assert answers[1].message == "The request has too many rows. Expected at most 3. Received: 4"
    answers, runs = ask("serving_default", [[0.0]] * 6, Limits(batch_rows=2), know=([1.0], [1.0, 2.0]))
    assert runs == [1, 2, 2, 1] and answers == [{"y": [1.0]}] * 6


def test_a_deadline_that_passes_takes_the_request_off_the_queue(ask):
    answers, runs = ask("serving_default", [[0.0], [1.0], [2.0]], deadlines=[time.monotonic() + 0.05, None])
    assert answers[1].code is Code.DEADLINE_EXCEEDED
    assert answers[2] == {"y": [2.0]} and runs == [1, 1]


def test_a_cancelled_request_does_no_harm(model):
    held = Held(model)
    batcher = Batcher(held, "half", Limits(), Metrics())

    async def everything():
        asked = model.signatures["serving_default"]
        tasks = [
            asyncio.create_task(batcher.run(asked, {"x": np.array([float(x)], np.float32)}, (), None)) for x in range(3)
        ]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.sleep(0)
        held.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(everything())
    batcher.close()
    assert isinstance(outcomes[0], asyncio.CancelledError) and isinstance(outcomes[1], asyncio.CancelledError)
    assert outcomes[2]["y"].tolist() == [2.0] and held.runs == [1, 1]

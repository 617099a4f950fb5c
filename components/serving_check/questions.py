"""What the server is asked, and what its answers must be."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType

import numpy as np

from components.serving_check import rows
from components.serving_check.clients import Answers, Grpc, Refused, Rest
from components.serving_check.server import Server
from pipeline.export import COLUMNS_SIGNATURE, SERVING_SIGNATURE
from pipeline.probes import Probe
from pipeline.serving_check import ServingCheck
from serving.session import Signature

Found = tuple[str, str | None, str]
"""Name of the check; what is wrong, a sentence, or None; what to say where nothing is."""


class Questions:
    """All questions to one server.

    Attributes:
      milliseconds: `p50` and `p99` of a request of one row over REST; None before it was measured.
    """

    def __init__(
        self,
        server: Server,
        rules: ServingCheck,
        model: str,
        signatures: Mapping[str, Signature],
        asked: Sequence[Probe],
        expected: Mapping[str, np.ndarray],
    ) -> None:
        """Connects.

        Args:
          server: that is ready.
          rules: of the check.
          model: the served name.
          signatures: of the candidate.
          asked: rows.
          expected: the trained model's answers, output -> [rows, …].
        """
        self._rules = rules
        self._asked = asked
        self._expected = expected
        self._types = {name: tensor.dtype for name, tensor in signatures[COLUMNS_SIGNATURE].inputs.items()}
        self._open = ExitStack()
        self._rest = self._open.enter_context(Rest(server.rest_port, model))
        self._grpc = self._open.enter_context(Grpc(server.grpc_port, model))
        self.milliseconds: dict[str, float] | None = None

    def __enter__(self) -> "Questions":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def all(self) -> Iterator[Found]:
        """Asks one after the other. A server that is gone makes what is asked then fail."""
        count = f"{len(self._asked)} rows, {len(self._expected)} output(s), as the trained model within "
        good = f"{count}{self._rules.max_difference:g}"
        for client in (self._rest, self._grpc):
            yield f"serving answers over {client.title}", self._answers(client), good
        yield "serving bad requests", self._bad_requests(), "refused with a reason, and the next request is answered"
        late = self._latency()
        shown = self.milliseconds or {"p50": 0.0, "p99": 0.0}
        yield "serving latency", late, f"one row in {shown['p50']:.1f} ms (median), {shown['p99']:.1f} ms (99 of 100)"

    def _answers(self, client: Rest | Grpc) -> str | None:
        """What is wrong with the answers over one protocol, or None."""
        outputs = list(self._expected)

        def by_examples(asked: Sequence[Probe]) -> Answers:
            return client.examples([probe.example for probe in asked], outputs)

        def by_columns(asked: Sequence[Probe]) -> Answers:
            return client.columns(rows.columns([probe.example for probe in asked], self._types), outputs)

        for signature, ask in ((SERVING_SIGNATURE, by_examples), (COLUMNS_SIGNATURE, by_columns)):
            where = f"{client.title}, signature {signature!r}"
            try:
                answers = ask(self._asked)
            except Refused as refused:
                what = self._refused(ask)
                return f"{where}: {what or f'all rows at once: {refused}'}"
            except (OSError, KeyError, ValueError) as error:
                return f"{where}: no answer that can be read: {type(error).__name__}: {error}"
            wrong = self._wrong(answers)
            if wrong:
                return f"{where}: {wrong}"
        return None

    def _refused(self, ask: Callable[[Sequence[Probe]], Answers]) -> str | None:
        """The first row that is refused by itself."""
        for probe in self._asked:
            try:
                ask([probe])
            except Refused as refused:
                return f"{probe.what}: expected an answer. Received: {refused}"
        return None

    def _wrong(self, answers: Answers) -> str | None:
        """The first answer that is not the trained model's."""
        limit = self._rules.max_difference
        for output, expected in self._expected.items():
            received = answers[output]
            if received.dtype == object:
                received = np.char.decode(received.astype(np.bytes_), "utf-8")
            if received.shape != expected.shape:
                return f"{output}: expected shape {expected.shape}. Received: {received.shape}"
            if expected.dtype.kind == "f":
                equal = np.isclose(received.astype(np.float64), expected, rtol=limit, atol=limit)
            else:
                equal = np.asarray(received == expected)
            if not equal.all():
                row = int(np.argwhere(~equal)[0][0])
                return f"{self._asked[row].what}: expected {output} {expected[row]}. Received: {received[row]}"
        return None

    def _bad_requests(self) -> str | None:
        """What happens to requests that can't be answered, and to the one after them."""
        columns = rows.columns([self._asked[0].example], self._types)
        short = dict(list(columns.items())[1:])
        bad = {
            f"a request without {next(iter(columns))}": self._rest.asked(short),
            "a request for a signature that is not there": {**self._rest.asked(columns), "signature_name": "nosuch"},
            "a request that is a number": 1,
        }
        for what, request in bad.items():
            try:
                self._rest.post(request)
            except Refused as refused:
                if not 400 <= int(refused.code) < 500:
                    return f"{what}: expected status 400 to 499. Received: {refused}"
            except (OSError, ValueError) as error:
                return f"{what}: expected a refusal. Received: {type(error).__name__}: {error}"
            else:
                return f"{what}: expected a refusal. Received: an answer"
        return self._answers(self._rest)

    def _latency(self) -> str | None:
        """Times single rows, one after the other."""
        real = [probe.example for probe in self._asked]
        requests = [self._rest.asked(rows.columns([example], self._types)) for example in real]
        times = []
        try:
            for number in range(self._rules.requests):
                started = time.perf_counter()
                self._rest.post(requests[number % len(requests)])
                times.append(1000 * (time.perf_counter() - started))
        except (OSError, ValueError, Refused) as error:
            return f"a request of one row failed: {type(error).__name__}: {error}"
        p50, p99 = (float(np.percentile(times, share)) for share in (50, 99))
        self.milliseconds = {"p50": p50, "p99": p99}
        if p99 > self._rules.max_p99_ms:
            return (
                f"99 of 100 requests of one row take up to {p99:,.1f} ms, more than {self._rules.max_p99_ms:g}. "
                "Next: a smaller model, or --set serving.max_p99_ms"
            )
        return None

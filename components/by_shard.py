"""The same function for every shard: by threads of this process, or by the workers of a Beam runner.

What a component does with a shard is a function of that shard alone; here is who calls it. With the in-process runner
there is nothing to distribute, and threads do it. With any other each shard is an element of a Beam job, and a worker
calls the same function; so both ways give the same artifacts.

    spread = by_shard.spread(self._beam_pipeline_args, self._make_beam_pipeline, folder)
    for counted in spread.each("Count", Count(options), shards, by_shard.JSON): ...

Results do not go through Beam, which would bring them all to the launching process's memory or lose their order. A
worker writes its result to a file of its own attempt, and the name of that file behind a shuffle, which a retry does
not cross: a shard that was worked on twice counts once. What a function writes beside that, it must write the same way:
to a name that no other attempt has, which its result tells.
"""

import json
import logging
import re
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import apache_beam as beam
from tfx.dsl.io import fileio

from components import remote_files
from components.threads import in_order
from pipeline.beam import leftovers
from pipeline.errors import ERRORS, ExitCode, MillraceError
from pipeline.ingest import files

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")
_LOG = logging.getLogger(__name__)
IN_PROCESS = "--runner=FnApiRunner"
_RESULT, _ERROR = b"r", b"e"
_GRPC_DETAILS = re.compile(r'^\s*details = "(.*)"$', re.MULTILINE)
_PYTHON_ERROR = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*", re.MULTILINE)


@dataclass(frozen=True)
class Form(Generic[R]):
    """How a result is written by a worker and read here.

    Attributes:
      dump: a result to bytes.
      load: the reverse. A pickle of anything but listed classes is not to be read: see components/pickles.py.
    """

    dump: Callable[[R], bytes]
    load: Callable[[bytes], R]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


JSON: Form[Any] = Form(_json, json.loads)


class Spread(Protocol):
    """Has a function called for every item."""

    def each(self, name: str, function: Callable[[T], R], items: Sequence[T], form: Form[R]) -> Iterator[R]:
        """The function of each item, in their order.

        Args:
          name: of what is done, for Beam's stages and messages.
          function: of one item; on Beam it travels to the workers with all that it holds: settings, no open files.
          items: shards, or whatever tells which rows; they travel, too.
          form: of the results.

        Raises:
          MillraceError: what the function raised for the first item that it failed for; or the job failed.
        """


def spread(beam_args: Sequence[str] | None, make_pipeline: Callable[[], Any], folder: str) -> Spread:
    """Who calls functions of shards with these Beam arguments.

    Args:
      beam_args: of the executor.
      make_pipeline: its `_make_beam_pipeline`.
      folder: in the node's own output, for what is passed on; all workers have to reach it. It is made, and removed.
    """
    if in_process(beam_args):
        return Threads()
    return Workers(make_pipeline, folder)


def in_process(beam_args: Sequence[str] | None) -> bool:
    """Whether the runner is the in-process one."""
    return IN_PROCESS in (beam_args or ())


class Threads:
    """Threads of this process; see Spread."""

    def each(self, name: str, function: Callable[[T], R], items: Sequence[T], form: Form[R]) -> Iterator[R]:
        """See Spread."""
        return in_order(function, items)


class Workers:
    """The workers of a Beam runner; see Spread."""

    def __init__(self, make_pipeline: Callable[[], Any], folder: str) -> None:
        """See `spread`."""
        self._make_pipeline = make_pipeline
        self._folder = folder

    def each(self, name: str, function: Callable[[T], R], items: Sequence[T], form: Form[R]) -> Iterator[R]:
        """See Spread: the job has ended when the first result is given."""
        if not items:
            return
        with self._passed_on() as folder:
            pipeline, told = self._called(name, function, items, form, folder)
            _ = told | "Settle" >> beam.Reshuffle() | "Results" >> beam.Map(_settled, folder)
            run(pipeline, name)
            for index in range(len(items)):
                yield _result(_place(folder, index), form)

    def whole(
        self,
        name: str,
        function: Callable[[T], R],
        items: Sequence[T],
        form: Form[R],
        together: Callable[[Iterator[R]], S],
        form_together: Form[S],
    ) -> S:
        """One function of what another gives for each item, in their order; one worker calls it, so nothing is held here.

        Args:
          name: see Spread.
          function: see Spread.
          items: see Spread.
          form: of its results.
          together: of all of these, which are read one after the other.
          form_together: of what that gives.

        Raises:
          MillraceError: see Spread.
        """
        with self._passed_on() as folder:
            pipeline, told = self._called(name, function, items, form, folder)
            _ = (
                told
                | "Together" >> beam.combiners.ToList()
                | f"All of {name}" >> beam.ParDo(_Together(together, form.load, form_together.dump, folder))
                | "Settle" >> beam.Reshuffle()
                | "Results" >> beam.Map(_settled, folder)
            )
            run(pipeline, name)
            return _result(_place(folder, 0), form_together)

    @contextmanager
    def _passed_on(self) -> Iterator[str]:
        """A folder for results, removed at the end."""
        folder = f"{self._folder}/{uuid.uuid4().hex}"
        fileio.makedirs(folder)
        try:
            yield folder
        finally:
            _remove(folder, self._folder)

    def _called(
        self, name: str, function: Callable[[T], R], items: Sequence[T], form: Form[R], folder: str
    ) -> tuple[Any, Any]:
        """A pipeline, and the collection of (index, place of the result)."""
        pipeline = self._make_pipeline()
        elements = pipeline | "Shards" >> beam.Create(list(enumerate(items)), reshuffle=True)
        return pipeline, elements | name >> beam.ParDo(_Call(function, form.dump, folder))


def _remove(folder: str, above: str) -> None:
    """Removes what was passed on; in a bucket there may be none."""
    with suppress(fileio.NotFoundError):
        fileio.rmtree(folder)
        if not fileio.listdir(above):
            fileio.rmtree(above)


class _Call(beam.DoFn):
    """Calls the function of an item."""

    def __init__(self, function: Callable[[Any], Any], dump: Callable[[Any], bytes], folder: str) -> None:
        self._function, self._dump, self._folder = function, dump, folder

    def process(self, element: tuple[int, Any]) -> Iterator[tuple[int, str]]:
        """Yields the place of an item's result."""
        remote_files.register()
        index, item = element
        yield index, _told(lambda: self._dump(self._function(item)), f"{self._folder}/{index:06d}")


class _Together(beam.DoFn):
    """Calls the function of all results."""

    def __init__(
        self,
        function: Callable[[Iterator[Any]], Any],
        load: Callable[[bytes], Any],
        dump: Callable[[Any], bytes],
        folder: str,
    ) -> None:
        self._function, self._load, self._dump, self._folder = function, load, dump, folder

    def process(self, places: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Yields the place of its result."""
        remote_files.register()
        form = Form(self._dump, self._load)
        results = (_result(path, form) for _, path in sorted(places))
        yield 0, _told(lambda: self._dump(self._function(results)), f"{self._folder}/all")


def _told(compute: Callable[[], bytes], prefix: str) -> str:
    """The place of a result, of this attempt alone; an error for the user is one, too, so that Beam does not try again."""
    try:
        told = _RESULT + compute()
    except MillraceError as error:
        told = _ERROR + _json([int(error.exit_code), str(error)])
    path = f"{prefix}-{uuid.uuid4().hex}"
    with files.create(path) as stream:
        stream.write(told)
    return path


def _settled(result: tuple[int, str], folder: str) -> None:
    """Says which attempt's result counts. Written again, it says the same."""
    index, path = result
    with files.create(f"{folder}/{index:06d}") as stream:
        stream.write(path.encode())


def _place(folder: str, index: int) -> str:
    """Of the result that counts."""
    with files.open_binary(f"{folder}/{index:06d}") as stream:
        return stream.read().decode()


def _result(path: str, form: Form[R]) -> R:
    with files.open_binary(path) as stream:
        told = stream.read()
    if told[:1] == _ERROR:
        code, text = json.loads(told[1:])
        raise ERRORS.get(ExitCode(code), MillraceError)(text)
    return form.load(told[1:])


def run(pipeline: Any, name: str) -> None:
    """Runs a Beam pipeline to its end; where this process is stopped meanwhile, the job is cancelled.

    Raises:
      MillraceError: the job failed.
    """
    with _stop_raises():
        result = None
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as error:
            options = pipeline.options.get_all_options()
            leftovers.cancel_own(options)  # it may be that only the way to it is lost
            said = f"{name}: the Beam job failed: {_cause(str(error))}{leftovers.lost_here(options)}"
            raise MillraceError(said) from error
        except BaseException:
            _LOG.warning("%s: stopped; the Beam job is cancelled", name)
            leftovers.cancel_own(pipeline.options.get_all_options())
            with suppress(Exception):
                if result is not None:
                    result.cancel()
            raise


@contextmanager
def _stop_raises() -> Iterator[None]:
    """Has SIGTERM raise, as Ctrl-C does: a job on a cluster would outlive this process."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cause(message: str) -> str:
    """The last Python error in a message of Beam's, which may be pages of Java; else its first line.

    Where the job server is gone, gRPC says so in its details.
    """
    if message.startswith("<_") and (details := _GRPC_DETAILS.search(message)):
        return f"the job server has ended or can't be reached: {details[1][:400]}."
    found = _PYTHON_ERROR.findall(message)
    return str(found[-1] if found else message.strip().partition("\n")[0])[:600]

"""What can be told of the engines before anything starts: options, addresses, versions, what workers reach."""

import logging
import re
import socket
from collections.abc import Callable, Iterable, Mapping

from pipeline import image
from pipeline.beam import NODES, arguments, known, place, settings, versions
from pipeline.beam.choice import choices
from pipeline.beam.engines import ENGINES, Engine
from pipeline.config import RunConfig
from pipeline.errors import UsageError, hint, nearest, raise_all
from pipeline.flink import state
from pipeline.task import Task

_SECONDS = 3.0
_SECRETIVE = re.compile(r"secret|passw|token|credential|private_?key|access_?key|connection_string", re.IGNORECASE)
_FAR = re.compile(r"\w+://.*")
_LOG = logging.getLogger(__name__)


def check(task: Task, config: RunConfig) -> None:
    """Compares the run with where its Beam jobs go.

    Raises:
      UsageError: with all that is wrong.
    """
    problems = of_options(config)
    if not problems and ENGINES[config.beam_runner].by_size:
        problems = _of_cluster(task, config)
    raise_all(UsageError, f"--beam-runner {config.beam_runner}: the Beam jobs can't run so:", problems)


def check_prediction(config: RunConfig, data: str, out: str) -> None:
    """The same for `millrace predict`.

    Args:
      config: of the model's task.
      data: `--data`.
      out: `--out`.

    Raises:
      UsageError: with all that is wrong.
    """
    engine = ENGINES[config.beam_runner]
    problems = of_options(config)
    if not problems and engine.by_size:
        options = dict(arguments.on_cluster(config, "BulkInferrer"))
        problems = [*_missing(engine, options), *unreachable(engine, options)]
        if workers := place.workers(options, engine.places):
            problems += _local(config, {"--data": data, "--out": out}, workers)
    raise_all(UsageError, f"--beam-runner {config.beam_runner}: the Beam jobs can't run so:", problems)


def of_options(config: RunConfig) -> list[str]:
    """What is wrong with the options by themselves; nothing is asked."""
    texts = [text for text in config.beam_nodes if "." in text.partition("=")[0]]
    asked = [("--beam ", key, value) for key, value in settings.pairs(config.beam_options)]
    for name, value in settings.pairs(texts):
        node, _, key = name.partition(".")
        asked.append((f"--beam-node {node}.", key, value))
    if not asked:
        return []
    return list(dict.fromkeys(problem for one in asked for problem in _wrong(*one, ENGINES[config.beam_runner])))


def of_spec(config: RunConfig) -> list[str]:
    """What is wrong with the options of a run whose nodes are containers of a cluster; nothing is asked."""
    engine = ENGINES[config.beam_runner]
    problems = of_options(config)
    if problems or not engine.by_size:
        return problems
    given = [dict(settings.options_of(config, node)) for node in NODES]
    if engine.places and not all(any(name in options for name in engine.places) for options in given):
        flags = " or ".join(f"--beam {name}=HOST:PORT" for name in engine.places)
        return [f"--beam-runner {engine.name}: a container has no cluster beside it. Expected {flags}"]
    for options in given:
        problems += [
            f"--beam {name}={options[name]}: in a container this is the container itself. "
            f"Expected an address that the cluster's network knows, such as jobserver.beam:8099"
            for name in (*engine.places, "artifact_endpoint")
            if name in options and place.is_here(options[name])
        ]
        problems += _missing(engine, options)
    return list(dict.fromkeys(problems))


def _wrong(flag: str, key: str, value: str, engine: Engine) -> Iterable[str]:
    if _SECRETIVE.search(key):
        yield (
            f"{flag}{key}: its value would be readable in run.json and in the list of processes. Next: give it to the "
            "workers as a variable, such as AWS_SECRET_ACCESS_KEY, or as their machines' role"
        )
    elif key in settings.OURS:
        yield from _wrong_of_ours(key, value)
    elif others := [
        other.name
        for other in ENGINES.values()
        if other.by_size and other != engine and key.startswith(f"{other.name}_")
    ]:
        yield f"{flag}{key}: is of {others[0]}. Received: --beam-runner {engine.name}. Next: --beam-runner {others[0]}"
    elif key not in engine.own:
        yield from _wrong_of_beam(flag, key, value, engine)


def _wrong_of_ours(key: str, value: str) -> Iterable[str]:
    if key == settings.LOCAL_BELOW:
        try:
            settings.size(value)
        except UsageError as error:
            yield str(error)
    elif value.lower() not in ("true", "false"):
        yield f"--beam {key}: expected true or false. Received: {value}"


def _wrong_of_beam(flag: str, key: str, value: str, engine: Engine) -> Iterable[str]:
    names = {name for name in known.options() if "-" not in name} | engine.own | set(settings.OURS)
    option = known.options().get(key)
    if option is None:
        yield f"{flag}{key}: Beam has no such option.{hint(key, names)}"
    elif option.is_switch:
        if value.lower() not in ("true", "false"):
            yield f"{flag}{key}: expected true or false. Received: {value}"
    elif option.choices and value not in option.choices:
        yield f"{flag}{key}: no {value!r}.{nearest(value, option.choices)}"
    elif option.type is not None and not _fits(option.type, value):
        yield f"{flag}{key}: expected a value of type {getattr(option.type, '__name__', 'known to Beam')}. Received: {value}"


def _fits(made: Callable[[str], object], value: str) -> bool:
    try:
        made(value)
    except Exception:
        return False
    return True


def _of_cluster(task: Task, config: RunConfig) -> list[str]:
    """What is wrong with the engine of the nodes that go there; nothing is asked where all stay in this process."""
    engine = ENGINES[config.beam_runner]
    there = [node for node, choice in choices(task, config).items() if choice.engine == engine.name]
    problems: list[str] = []
    asked: set[tuple[tuple[str, str], ...]] = set()
    for node in there:
        options = dict(arguments.on_cluster(config, node))
        same = tuple((key, value) for key, value in sorted(options.items()) if key != "job_name")
        if same not in asked:
            asked.add(same)
            problems += _missing(engine, options)
            problems += _loopback_from_afar(engine, options)
            problems += unreachable(engine, options) or _of_older_code(options)
            allowed = settings.is_set(config, settings.ALLOW_VERSION_MISMATCH)
            problems += versions.problems(engine.name, options, engine.jar, allowed)
        problems += _beyond_reach(task, config, node, place.workers(options, engine.places))
    if there:
        _warn_of_this_machine(dict(arguments.on_cluster(config, there[0])))
    return list(dict.fromkeys(problems))


def _missing(engine: Engine, options: Mapping[str, str]) -> list[str]:
    problems = [
        f"{name}: {engine.name} needs it. Expected --beam {name}={example}"
        for name, example in engine.needed
        if name not in options
    ]
    if engine.name == "dataflow":
        problems += [
            f"{name}: expected gs://BUCKET/FOLDER. Received: {options[name]}"
            for name in ("temp_location", "staging_location")
            if name in options and not options[name].startswith("gs://")
        ]
    package = options.get("setup_file")
    if package == str(image.ROOT / "setup.py") and not (image.ROOT / "setup.py").exists():
        problems.append(
            "workers on other machines need this project. Expected a checkout to make its package of, or --beam "
            "sdk_container_image=IMAGE (Dataflow), --beam environment_config=IMAGE (Flink, Spark) with an image that "
            "has it. Next: docs/beam.md"
        )
    return problems


def unreachable(engine: Engine, options: Mapping[str, str]) -> list[str]:
    """Addresses of an engine at which nobody answers a connection."""
    addresses = {name: options[name] for name in (*engine.places, "artifact_endpoint") if name in options}
    where = next(iter(addresses.values()), "")
    if options.get("environment_type") == "EXTERNAL" and place.is_here(where):
        addresses["environment_config"] = place.external(options)
    problems = []
    for name, address in addresses.items():
        port = place.port(address)
        if port is not None and not _answers(place.host(address), port):
            problems.append(
                f"{name}: {address} is not reachable. Expected an engine there. Next: "
                + ("millrace cluster status" if address in _of_this_machine() else "check address and firewall")
            )
    return problems


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError:
        return False
    return True


def _of_this_machine() -> tuple[str, ...]:
    found = state.read()
    return (found.job_endpoint, found.worker_pool) if found else ()


def _loopback_from_afar(engine: Engine, options: Mapping[str, str]) -> list[str]:
    """Whether workers are to be threads of this machine's process, and the engine is on another, which can't reach them."""
    where = next((options[name] for name in engine.places if name in options), "")
    if options.get("environment_type") != "LOOPBACK" or place.is_here(where):
        return []
    return [
        f"environment_type=LOOPBACK: {engine.name} on {place.host(where)} can't reach workers in this process. "
        "Expected DOCKER, or EXTERNAL with the address of a pool of workers. Next: docs/beam.md"
    ]


def _of_older_code(options: Mapping[str, str]) -> list[str]:
    """Whether the workers of this machine's cluster have the code that they were started with, and that is another now."""
    found = state.read()
    if not found or options.get("environment_config") != found.worker_pool or found.code == image.fingerprint():
        return []
    return [
        "the workers of this machine's cluster have the project's code of when it was started, and that has changed "
        "since. Next: millrace cluster down, then millrace cluster up"
    ]


def _warn_of_this_machine(options: Mapping[str, str]) -> None:
    """Says where the cluster of this machine has a job server of another Beam: it was started so on purpose."""
    found = state.read()
    if (
        found
        and options.get("job_endpoint") == found.job_endpoint
        and versions.minor(found.beam) != versions.minor(versions.beam())
    ):
        _LOG.warning("warning: the cluster's job server is of Beam %s, Python's is %s", found.beam, versions.beam())


def _beyond_reach(task: Task, config: RunConfig, node: str, workers: str | None) -> list[str]:
    """Folders of this machine that a node's workers would have to reach."""
    if workers is None:
        return []
    problems = []
    if workers == "Dataflow" and not config.root.startswith("gs://"):
        problems.append(f"--root {config.root}: Dataflow can't reach it. Expected gs://BUCKET/FOLDER")
    read = {"--root": config.root} if workers != "Dataflow" else {}
    if node == "ExampleGen":
        source = task.source.at(config.data)
        read |= {"--data": source.path} if not source.remote else {}
    if node == "BulkInferrer":
        read["--predict"] = config.predict or ""
    return problems + _local(config, read, workers)


def _local(config: RunConfig, places: Mapping[str, str], workers: str) -> list[str]:
    """Places, by their flags, that are folders of this machine, and not said to be of the workers', too."""
    if settings.is_set(config, settings.SHARED_FOLDERS) and workers != "Dataflow":
        return []
    return [
        f"{flag}: workers on {workers} can't reach {path}. Expected a place in a bucket, or a folder that all reach. "
        f"Next: {flag} s3://…, or --beam {settings.SHARED_FOLDERS}=true"
        for flag, path in places.items()
        if path and not _FAR.fullmatch(path)
    ]

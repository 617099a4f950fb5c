"""What is wrong with a spec, before anything runs: all of it, in the words of the spec."""

import graphlib
from collections.abc import Iterator

from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.errors import UsageError, nearest, raise_all
from pipeline.kubeflow.execute import graphs, resolvers
from pipeline.kubeflow.execute.documents import Document
from pipeline.kubeflow.execute.profiles import Profile


def check(document: Document, profile: Profile) -> None:
    """Checks the graph and the executors.

    Raises:
      UsageError: with everything that the backend would not take, or that can't be run here.
    """
    problems = list(_component("root", document.spec.root, document, profile, ()))
    raise_all(UsageError, f"{document.path} can't be run as {profile.title} would:", list(dict.fromkeys(problems)))


def _component(
    name: str, component: pb.ComponentSpec, document: Document, profile: Profile, above: tuple[str, ...]
) -> Iterator[str]:
    """The problems of a component and of all below it."""
    if name in above:
        yield f"component {name!r} contains itself: {' -> '.join([*above, name])}"
        return
    if component.HasField("dag"):
        yield from _dag(name, component.dag, document, profile, (*above, name))
        return
    label = component.executor_label
    if not label:
        yield f"component {name!r} has neither a dag nor an executorLabel"
    elif label not in document.executors:
        yield f"component {name!r}: no executor {label!r}.{nearest(label, document.executors)}"
    elif name == "root":
        yield "root is a single component. Expected a dag"


def _dag(name: str, dag: pb.DagSpec, document: Document, profile: Profile, above: tuple[str, ...]) -> Iterator[str]:
    """The problems of a graph."""
    if all(graphs.is_exit(task) for task in dag.tasks.values()):
        yield f"{name}: expected at least one task that is no exit handler"
    for task_name in sorted(dag.tasks):
        task = dag.tasks[task_name]
        for other in sorted(graphs.upstream(task) - set(dag.tasks)):
            yield f"task {task_name!r} waits for {other!r}, which {name} does not have.{nearest(other, dag.tasks)}"
        yield from _task(task_name, task, document, profile)
        reference = task.component_ref.name
        if reference not in document.spec.components:
            yield f"task {task_name!r}: no component {reference!r}.{nearest(reference, document.spec.components)}"
        else:
            yield from _component(reference, document.spec.components[reference], document, profile, above)
    yield from _outputs(name, dag)
    try:
        graphs.ordered(dag)
    except graphlib.CycleError as error:
        yield f"{name}: the tasks wait for each other in a circle: {' -> '.join(error.args[1])}"


def _task(name: str, task: pb.PipelineTaskSpec, document: Document, profile: Profile) -> Iterator[str]:
    """What can't be done with a task."""
    if task.HasField("artifact_iterator"):
        yield f"task {name!r} loops over artifacts (artifactIterator), which is not implemented"
    if graphs.is_loop(task) and not task.parameter_iterator.items.WhichOneof("kind"):
        yield f"task {name!r}: its parameterIterator has no items"
    component = document.spec.components.get(task.component_ref.name)
    label = component.executor_label if component is not None else ""
    if label not in document.executors:
        return
    executor = document.executors[label]
    which = executor.WhichOneof("spec")
    if which == "container":
        if not executor.container.command and not executor.container.args:
            yield (
                f"task {name!r}: executor {label!r} has no command. The entrypoint of its image "
                f"({executor.container.image}) is not known here. Next: write the command into the spec"
            )
        return
    if which == "importer":
        if task.trigger_policy.condition and not profile.importer_conditions:
            yield f"task {name!r}: {profile.title} does not support a condition on an importer"
        return
    if which == "resolver":
        yield from _resolver(name, executor.resolver, profile)
        return
    reason = "a custom job runs on Google Cloud only" if which == "custom_job" else "it has no known kind"
    yield f"task {name!r}: executor {label!r} can't be run: {reason}"


def _resolver(name: str, resolver: pb.PipelineDeploymentConfig.ResolverSpec, profile: Profile) -> Iterator[str]:
    if not profile.resolvers:
        yield (
            f"task {name!r} is a resolver. {profile.title} has no resolver executors: its compiler refuses the spec "
            "(non-container and non-importer executor not implemented). Next: look the artifacts up in a component"
        )
        return
    for key, query in resolver.output_artifact_queries.items():
        for clause in resolvers.unknown_clauses(query.filter):
            yield f"task {name!r}: the query for {key!r} has a clause that can't be judged here: {clause}"


def _outputs(name: str, dag: pb.DagSpec) -> Iterator[str]:
    """Outputs of a graph that no task of it gives."""
    selected = [
        (key, each.producer_subtask) for key, spec in dag.outputs.artifacts.items() for each in spec.artifact_selectors
    ]
    for key, spec in dag.outputs.parameters.items():
        if spec.WhichOneof("kind") == "value_from_parameter":
            selected.append((key, spec.value_from_parameter.producer_subtask))
        selected += [(key, each.producer_subtask) for each in spec.value_from_oneof.parameter_selectors]
    for key, producer in selected:
        if producer not in dag.tasks:
            yield f"{name}: its output {key!r} comes from {producer!r}, which it does not have.{nearest(producer, dag.tasks)}"

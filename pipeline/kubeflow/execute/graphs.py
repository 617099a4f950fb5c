"""The graph of a spec: which task waits for which, in which order they are shown, and what each is called."""

import graphlib
from collections import Counter
from collections.abc import Iterator

from kfp.pipeline_spec import pipeline_spec_pb2 as pb

Path = tuple[str, ...]
"""Names of tasks from the root's graph down; a loop's iteration adds its number."""

_EXIT = pb.PipelineTaskSpec.TriggerPolicy.ALL_UPSTREAM_TASKS_COMPLETED


def is_exit(task: pb.PipelineTaskSpec) -> bool:
    """Whether a task runs whatever became of those that it depends on."""
    return bool(task.trigger_policy.strategy == _EXIT)


def is_loop(task: pb.PipelineTaskSpec) -> bool:
    """Whether a task runs once for each of some items."""
    return bool(task.HasField("parameter_iterator"))


def producers(task: pb.PipelineTaskSpec) -> set[str]:
    """The tasks whose outputs a task reads."""
    found = {each.task_output_artifact.producer_task for each in task.inputs.artifacts.values()}
    for each in task.inputs.parameters.values():
        found.add(each.task_output_parameter.producer_task)
        found.add(each.task_final_status.producer_task)
    return found - {""}


def upstream(task: pb.PipelineTaskSpec) -> set[str]:
    """The tasks that a task waits for."""
    return producers(task) | set(task.dependent_tasks)


def ordered(dag: pb.DagSpec) -> list[str]:
    """The tasks of a graph, each behind those that it waits for.

    Raises:
      graphlib.CycleError: there is no such order; its second argument is the cycle.
    """
    sorter = graphlib.TopologicalSorter({name: sorted(upstream(dag.tasks[name])) for name in sorted(dag.tasks)})
    return [name for name in sorter.static_order() if name in dag.tasks]


class Names:
    """What the tasks are called: by their own name where no other has it, else by the whole path."""

    def __init__(self, spec: pb.PipelineSpec) -> None:
        """Counts the names in a spec that was checked."""
        self._counts = Counter(path[-1] for path, _ in walk(spec))

    def of(self, path: Path) -> str:
        """A name that no other task of the run has; it is a folder as well."""
        looped = any(part.isdecimal() for part in path)
        return path[-1] if self._counts[path[-1]] == 1 and not looped else ".".join(path)


def walk(spec: pb.PipelineSpec) -> Iterator[tuple[Path, pb.PipelineTaskSpec]]:
    """All tasks of all graphs from the root down, in order; those of a loop once."""
    yield from _walk(spec, spec.root.dag, ())


def _walk(spec: pb.PipelineSpec, dag: pb.DagSpec, path: Path) -> Iterator[tuple[Path, pb.PipelineTaskSpec]]:
    for name in ordered(dag):
        task = dag.tasks[name]
        yield (*path, name), task
        component = spec.components[task.component_ref.name]
        if component.HasField("dag"):
            yield from _walk(spec, component.dag, (*path, name))

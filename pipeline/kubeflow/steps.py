"""The graph of nodes as steps of a job: resolvers, which only look something up, run in the container of who asks them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import RunConfig

_NOT_OF_DATA = ("predict", "serving_log")


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
      node: TFX's id.
      place: among the nodes of the pipeline.
      lookups: resolvers that run in its container.
      after: nodes whose steps come before.
      inputs: input key -> (node, output key), of those that are files.
      outputs: output key -> name of the artifact's type.
    """

    node: str
    place: int
    lookups: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    inputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


def steps_of(config: RunConfig) -> list[Step]:
    """The steps of a run's pipeline, in an order in which they can run; nothing but the task is read.

    Raises:
      UsageError, TaskError: as `graph.compile_ir`.
    """
    from pipeline.runners import graph

    ir = graph.compile_ir(config, "compile")
    return arranged([_node(entry.pipeline_node) for entry in ir.nodes])


def arranged(nodes: Sequence[Step]) -> list[Step]:
    """Nodes, with what each waits for in `after` and resolvers among them as those without outputs, as steps.

    A resolver goes to the first that asks it; all others that ask it wait for that one.
    """
    known = {node.node: node for node in nodes}
    lookups = {node.node for node in nodes if not node.outputs}
    asked: dict[str, str] = {}
    steps = []
    for node in nodes:
        if node.node in lookups:
            continue
        own = [name for name in _with_lookups(node, known, lookups) if asked.setdefault(name, node.node) == node.node]
        after = {name for name in node.after if name not in lookups}
        for name in _with_lookups(node, known, lookups):
            after |= {asked[name]} - {node.node}
            after |= {before for before in known[name].after if before not in lookups}
        order = [other.node for other in nodes]
        steps.append(
            Step(
                node.node,
                order.index(node.node),
                tuple(sorted(own, key=order.index)),
                tuple(sorted(after - {node.node}, key=order.index)),
                {key: source for key, source in node.inputs.items() if source[0] not in lookups},
                node.outputs,
            )
        )
    return steps


def _with_lookups(node: Step, known: Mapping[str, Step], lookups: set[str]) -> list[str]:
    """The resolvers that a node asks, and those that these ask."""
    found: list[str] = []
    for name in node.after:
        if name in lookups:
            found += [*_with_lookups(known[name], known, lookups), name]
    return list(dict.fromkeys(found))


def _node(node: Any) -> Step:
    """A node of TFX's representation; a resolver is told by its type."""
    resolver = node.node_info.type.name.endswith(".Resolver")
    inputs = {}
    for key, spec in node.inputs.inputs.items():
        for channel in spec.channels:
            if channel.producer_node_query.id and channel.output_key:
                inputs[key] = (channel.producer_node_query.id, channel.output_key)
    outputs = {key: spec.artifact_spec.type.name for key, spec in node.outputs.outputs.items()}
    return Step(
        node.node_info.id, 0, (), tuple(node.upstream_nodes), dict(sorted(inputs.items())), {} if resolver else outputs
    )

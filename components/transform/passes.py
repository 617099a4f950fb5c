"""One pass over the rows of an analysis: what each shard keeps is merged in the shards' order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from components.by_shard import Form, Spread
from components.shards import Shard, brought_here
from components.transform.coders import dump, load
from components.transform.operations import Elements, Makers
from components.transform.phases import Phase
from components.transform.rows import batch_rows

K = TypeVar("K")


def _as_is(kept: bytes) -> bytes:
    return kept


_BYTES: Form[bytes] = Form(_as_is, _as_is)


@dataclass(frozen=True)
class Pass:
    """Reads the rows of a shard; travels to workers.

    Attributes:
      phase: makes of them what the accumulators take.
      makers: of each data set.
      sizes: rows of a batch, of each data set.
    """

    phase: Phase
    makers: Sequence[Makers]
    sizes: Sequence[int]

    def __call__(self, of: tuple[int, Shard]) -> bytes:
        """What is kept of a shard.

        Every shard has accumulators of its own, so that nothing depends on who reads which.

        Args:
          of: which data set, and the shard.
        """
        data_set, shard = of
        rows, function = self.phase.ready()
        kept = {label: make() for label, make in self.makers[data_set].items()}
        with brought_here(shard) as local:
            for batch in rows.batches(local, self.sizes[data_set]):
                values = {name: tensor.numpy() for name, tensor in function(batch).items()}
                for one in kept.values():
                    one.add(values)
        return dump({label: one.kept() for label, one in kept.items()})


def run(
    spread: Spread, name: str, phase: Phase, files: Mapping[K, Sequence[Shard]], makers: Mapping[K, Makers]
) -> dict[str, Elements]:
    """Reads all rows once.

    Args:
      spread: has every shard read.
      name: of the pass, in messages.
      phase: makes the tensors that the accumulators take.
      files: data set -> its shards.
      makers: data set -> label of an operation -> what makes its accumulator.

    Returns:
      Label -> what was kept of all rows of its data set.
    """
    data_sets = list(makers)
    function = Pass(phase, list(makers.values()), [batch_rows(files[data_set]) for data_set in data_sets])
    items = [(number, shard) for number, data_set in enumerate(data_sets) for shard in files[data_set]]
    total = [{label: make() for label, make in of.items()} for of in function.makers]
    for (number, _), encoded in zip(items, spread.each(name, function, items, _BYTES), strict=True):
        kept: dict[str, Any] = load(encoded)
        for label, one in total[number].items():
            one.merge(kept[label])
    return {label: one.elements() for of in total for label, one in of.items()}

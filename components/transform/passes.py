"""One pass over the rows of an analysis: shards in threads, what they keep merged in their order."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from components.shards import Shard
from components.transform.operations import Elements, Makers
from components.transform.rows import Rows, batch_rows
from components.transform.threads import in_order


def run(
    rows: Rows,
    files: Sequence[Shard],
    function: Callable[[Mapping[str, Any]], dict[str, Any]],
    makers: Makers,
) -> dict[str, Elements]:
    """Reads all rows once.

    Every shard has accumulators of its own, so that the result does not depend on the number of threads.

    Args:
      rows: reads the columns that the function needs.
      files: the shards.
      function: raw columns -> tensors that the accumulators take.
      makers: of the accumulators.

    Returns:
      Label -> what was kept of all rows.
    """
    size = batch_rows(files)

    def kept_of(file: Shard) -> dict[str, Any]:
        kept = {label: make() for label, make in makers.items()}
        for batch in rows.batches(file, size):
            values = {name: tensor.numpy() for name, tensor in function(batch).items()}
            for one in kept.values():
                one.add(values)
        return kept

    total = {label: make() for label, make in makers.items()}
    for kept in in_order(kept_of, files):
        for label, one in total.items():
            one.merge(kept[label])
    return {label: one.elements() for label, one in total.items()}

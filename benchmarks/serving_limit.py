"""How many requests a second a model answers in process, without a server: the limit that the server is held against.

    python -m benchmarks.serving_limit FOLDER/1 --signature examples

Session.make_callable on the model, 8 threads, one row a call; prints JSON.
"""

import json
import os
import threading
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.serving_models import example, row

_WARM_SECONDS = 0.5


def main(
    path: Path,
    signature: Annotated[str, typer.Option(help="serving_default or examples")] = "serving_default",
    threads: Annotated[int, typer.Option(min=1)] = 8,
    seconds: Annotated[float, typer.Option(min=0.1)] = 4.0,
) -> None:
    """Measures and prints."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    given = np.array([example()], object) if signature == "examples" else row()
    times: list[float] = []
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        asked = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def[signature]
        (feed,), (fetch,) = asked.inputs.values(), asked.outputs.values()
        call = session.make_callable([fetch.name], feed_list=[feed.name])
        begins = time.perf_counter() + _WARM_SECONDS
        ends = begins + seconds

        def work() -> None:
            while (started := time.perf_counter()) < ends:
                call(given)
                if started >= begins:
                    times.append(time.perf_counter() - started)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    p50, p99 = (1e3 * float(q) for q in np.quantile(times, (0.5, 0.99)))
    print(json.dumps({"requests": len(times), "seconds": seconds, "p50_ms": p50, "p99_ms": p99}))


if __name__ == "__main__":
    typer.run(main)

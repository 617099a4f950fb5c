"""What this project costs and how well it predicts, next to TFX's own taxi template on the same rows.

    python -m benchmarks.template --rows 15002 --rounds 2     time and memory, node by node, A B A B
    python -m benchmarks.quality --seeds 0 --seeds 1          AUC, accuracy, and the fare model against a linear one
    python -m benchmarks.ingest --rows 1500200 --parquet      ExampleGen against CsvExampleGen; --equality, --scale
    python -m benchmarks.validation --rows 1500200            statistics, validation, checks and gate against TFX's own
    python -m benchmarks.poison                               data poisoned in 12 ways, and clean data: what is stopped

All are run from the repository's root. Every run is a process of its own; nothing here is imported by the pipeline.
"""

"""Training: reads transformed rows, fits the task's model, exports it and proves the export; `run.run_fn` does it all."""

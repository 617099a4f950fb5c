"""What changed between two runs of a task, and what may have caused it: `millrace diff`."""

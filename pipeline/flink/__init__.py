"""A Flink on this machine, to try and to test a cluster with: `millrace cluster up|down|status`."""

"""Running the graph: `local` on this machine."""

"""The embedded model server: TF Serving's REST and gRPC API over models that a run has pushed."""

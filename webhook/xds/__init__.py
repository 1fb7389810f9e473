"""The control plane that pushes: everything that speaks xDS over gRPC."""

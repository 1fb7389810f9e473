"""Evenkeel: even load on every gRPC backend, without a mesh and without touching the app."""

__version__ = "0.1.0"

"""Everything that talks to the API server of Kubernetes; nobody else knows its client library."""

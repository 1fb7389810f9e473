// The CustomResourceDefinitions of the Prometheus operator: read, never built.
module evenkeel.dev/tests/controlplane/prometheusoperator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0

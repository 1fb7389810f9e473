"""The whole path on one machine: the webhook, the examples' Pods in namespaces of their own, real RPCs."""

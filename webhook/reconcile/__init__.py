"""Keeps the configuration of live Pods true: what they should carry, compared with what they carry."""

"""A small node: runs admitted Pods as a kubelet would, on one Linux machine, without root or a cluster.

Nothing is imported here on purpose: the programs that run once per container must start fast.
"""

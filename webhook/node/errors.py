"""What can go wrong on the node."""


class NodeError(Exception):
    """The node cannot do what it was asked; the text says what, where, what was found and what would do."""


class ContainerError(NodeError):
    """One container cannot be started; `reason` is the word a kubelet would put into its status."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

"""ConfigMaps, Secrets and tokens that the caller gave the node."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from webhook.node.errors import ContainerError

Contents = Mapping[tuple[str, str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Store:
    """Content by (namespace, name)."""

    config_maps: Contents = field(default_factory=dict)
    secrets: Contents = field(default_factory=dict)
    tokens: Contents = field(default_factory=dict)
    """Tokens by their audience, which is empty where a Pod names none: of one Pod by (namespace, uid), and of all other
    Pods of a service account by (namespace, name)."""

    def find(self, kind: str, namespace: str, name: str, *, optional: bool) -> Mapping[str, str] | None:
        """Give a ConfigMap's or Secret's data, or None if it is optional; else ContainerError names it."""
        known = self.config_maps if kind == "ConfigMap" else self.secrets
        data = known.get((namespace, name))
        if data is None and not optional:
            names = ", ".join(sorted("/".join(key) for key in known)) or "none"
            message = f"{kind} {namespace}/{name} was not given to this node; given are: {names}"
            raise ContainerError("CreateContainerConfigError", message)
        return data

    def token(self, namespace: str, uid: str, account: str, audience: str) -> str:
        """Give a Pod's token, its own before its service account's; ContainerError names it if there is none."""
        for holder in (uid, account):
            token = self.tokens.get((namespace, holder), {}).get(audience)
            if token is not None:
                return token
        wanted = f"a token of service account {namespace}/{account} for {audience or 'the cluster'!r}"
        raise ContainerError("CreateContainerConfigError", f"{wanted} was not given to this node")

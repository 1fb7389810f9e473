"""The three files of /etc that a kubelet writes for a Pod."""

from collections.abc import Sequence
from typing import Any, Final

from webhook.node.fields import PodView

_HOSTS: Final = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def hosts(pod: PodView, cluster_domain: str) -> str:
    """Write /etc/hosts, the Pod's own name and its hostAliases included."""
    spec = pod.document["spec"]
    names = [pod.hostname]
    if subdomain := spec.get("subdomain"):
        names.insert(0, f"{pod.hostname}.{subdomain}.{pod.namespace}.svc.{cluster_domain}")
    text = _HOSTS + "\t".join([pod.address, *names]) + "\n"
    aliases = spec.get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
    return text + "".join("\t".join([alias["ip"], *(alias.get("hostnames") or ())]) + "\n" for alias in aliases)


def resolv_conf(pod: PodView, cluster_domain: str, nameserver: str) -> str:
    """Write /etc/resolv.conf for the Pod's dnsPolicy (ClusterFirst or None) and dnsConfig."""
    spec = pod.document["spec"]
    servers, searches, options = [nameserver], _searches(pod.namespace, cluster_domain), {"ndots": "5"}
    if spec.get("dnsPolicy") == "None":
        servers, searches, options = [], [], {}
    config: dict[str, Any] = spec.get("dnsConfig") or {}
    servers += config.get("nameservers") or ()
    searches += config.get("searches") or ()
    options |= {option["name"]: option.get("value") or "" for option in config.get("options") or ()}
    lines = [_line("search", list(dict.fromkeys(searches)))]
    lines += [f"nameserver {server}\n" for server in dict.fromkeys(servers)]
    lines.append(_line("options", [f"{name}:{value}" if value else name for name, value in options.items()]))
    return "".join(lines)


def _searches(namespace: str, cluster_domain: str) -> list[str]:
    return [f"{namespace}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain]


def _line(word: str, values: Sequence[str]) -> str:
    return f"{word} {' '.join(values)}\n" if values else ""

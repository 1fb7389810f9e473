"""The files of /etc are those of a kubelet."""

from webhook.node import etc
from webhook.node.fields import PodView


def _pod(**spec):
    return PodView(
        {"metadata": {"name": "web-0", "namespace": "shop", "uid": "u"}, "spec": spec}, "10.244.0.2", "10.244.0.1", "n"
    )


def test_hosts_hold_the_pod_and_its_aliases():
    """The name with its subdomain first, as a kubelet writes it."""
    text = etc.hosts(_pod(subdomain="web", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]), "cluster.local")

    assert [
        "10.244.0.2\tweb-0.web.shop.svc.cluster.local\tweb-0",
        "",
        "# Entries added by HostAliases.",
        "1.2.3.4\ta\tb",
    ] == text.splitlines()[-4:]
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost")


def test_resolv_conf_searches_the_cluster():
    """ClusterFirst, with what dnsConfig adds."""
    config = {"options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}], "searches": ["x.y"]}

    assert "search shop.svc.d svc.d d x.y\nnameserver 10.244.0.1\noptions ndots:2 edns0\n" == etc.resolv_conf(
        _pod(dnsConfig=config), "d", "10.244.0.1"
    )
    alone = _pod(dnsPolicy="None", dnsConfig={"nameservers": ["9.9.9.9"]})
    assert "nameserver 9.9.9.9\n" == etc.resolv_conf(alone, "d", "10.244.0.1")

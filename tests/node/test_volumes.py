"""Volumes become folders with the right files in them."""

import pytest

from webhook.node.errors import ContainerError, NodeError
from webhook.node.fields import PodView
from webhook.node.store import Store
from webhook.node.volumes import Volumes

STORE = Store(
    {("shop", "settings"): {"colour": "green"}},
    {("shop", "login"): {"word": "open"}},
    {("shop", "default"): {"": "for-the-cluster", "evenkeel": "for-us"}},
)


def _create(tmp_path, *volumes, annotations=None, store=STORE):
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "annotations": annotations or {}}
    pod = PodView(
        {"metadata": metadata, "spec": {"containers": [], "volumes": list(volumes)}}, "1.2.3.4", "1.2.3.1", "n"
    )
    made = Volumes(tmp_path / "volumes", store)
    made.create(pod)
    return made, pod


DOWNWARD = {
    "name": "v",
    "downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.annotations['a']"}}]},
}


def test_each_kind_has_its_files(tmp_path):
    """ConfigMap, Secret, downward API, and all of them projected into one."""
    sources = [
        {"configMap": {"name": "settings", "items": [{"key": "colour", "path": "deep/colour", "mode": 0o400}]}},
        {"secret": {"name": "login"}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    _create(
        tmp_path,
        {"name": "c", "configMap": {"name": "settings", "defaultMode": 0o440}},
        {"name": "s", "secret": {"secretName": "login"}},
        {"name": "p", "projected": {"sources": sources}},
        {"name": "e", "emptyDir": {}},
        {"name": "o", "configMap": {"name": "none", "optional": True}},
    )
    folder = tmp_path / "volumes"
    found = {name: (folder / name).read_text() for name in ("c/colour", "s/word", "p/deep/colour", "p/word", "p/name")}

    assert {"c/colour": "green", "s/word": "open", "p/deep/colour": "green", "p/word": "open", "p/name": "web"} == found
    assert 0o440 == (folder / "c" / "colour").stat().st_mode & 0o777
    assert 0o400 == (folder / "p" / "deep" / "colour").stat().st_mode & 0o777
    assert [] == list((folder / "e").iterdir())


def test_tokens_are_projected_by_audience(tmp_path):
    """As every Pod of a cluster has one for the API server."""
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"serviceAccountToken": {"path": "ours", "audience": "evenkeel"}},
    ]
    _create(tmp_path, {"name": "p", "projected": {"sources": sources}})
    folder = tmp_path / "volumes" / "p"

    assert ["for-the-cluster", "for-us"] == [(folder / name).read_text() for name in ("token", "ours")]


def test_a_token_of_the_pod_itself_counts_before_its_accounts(tmp_path):
    """Bound to the Pod, as a kubelet's are: with another's it would be taken for that one."""
    store = Store(tokens={("shop", "default"): {"us": "the account's"}, ("shop", "u"): {"us": "the Pod's own"}})
    source = {"serviceAccountToken": {"path": "token", "audience": "us"}}
    _create(tmp_path, {"name": "p", "projected": {"sources": [source]}}, store=store)

    assert "the Pod's own" == (tmp_path / "volumes" / "p" / "token").read_text()


def test_a_token_and_annotations_of_one_volume_change_by_one_swap(tmp_path):
    """Whoever watches `..data` hears of either, and never sees a file that is half written."""
    tokens = {("shop", "u"): {"us": "first"}}
    downward, token = DOWNWARD["downwardAPI"], {"path": "token", "audience": "us"}
    sources = [{"downwardAPI": downward}, {"serviceAccountToken": token}]
    volume = {"name": "v", "projected": {"sources": sources}}
    volumes, pod = _create(tmp_path, volume, annotations={"a": "1"}, store=Store(tokens=tokens))
    folder = tmp_path / "volumes" / "v"

    def shown():
        return (folder / "..data").readlink(), (folder / "a").read_text(), (folder / "token").read_text()

    began = shown()
    tokens["shop", "u"] = {"us": "second"}
    volumes.refresh(pod)
    renewed = shown()
    pod.document["metadata"]["annotations"]["a"] = "2"
    volumes.refresh(pod)
    annotated = shown()
    volumes.refresh(pod)

    assert [("1", "first"), ("1", "second"), ("2", "second")] == [one[1:] for one in (began, renewed, annotated)]
    assert 3 == len({began[0], renewed[0], annotated[0]})
    assert annotated == shown()
    assert [] == [path for path in folder.iterdir() if not path.is_symlink() and path.name != str(annotated[0])]


def test_of_a_secret_only_the_named_keys_are_there(tmp_path):
    """What stands beside them reaches no file of the Pod's."""
    store = Store(secrets={("shop", "tls"): {"tls.crt": "c", "tls.key": "k", "signing-ca.key": "never"}})
    items = [{"key": key, "path": key} for key in ("tls.crt", "tls.key")]
    volume = {"name": "s", "secret": {"secretName": "tls", "items": items}}
    _create(tmp_path, volume, store=store)
    folder = tmp_path / "volumes" / "s"

    assert {"tls.crt", "tls.key"} == {path.name for path in folder.iterdir() if not path.name.startswith("..")}
    assert {"tls.crt", "tls.key"} == {path.name for path in (folder / "..data").iterdir()}


def test_a_kept_volume_is_mounted_read_only_and_follows(tmp_path):
    """A changed annotation is in the file after a refresh."""
    volumes, pod = _create(tmp_path, DOWNWARD, annotations={"a": "1"})
    (mount,) = volumes.mounts({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, {})
    pod.document["metadata"]["annotations"]["a"] = "2"
    volumes.refresh(pod)

    assert mount.read_only
    assert "2" == (mount.source / "a").read_text()


def test_a_sub_path_of_an_empty_folder_is_made(tmp_path):
    """`subPathExpr` sees the container's variables; a path that leads out is refused."""
    volumes, _ = _create(tmp_path, {"name": "e", "emptyDir": {}})
    (mount,) = volumes.mounts({"volumeMounts": [{"name": "e", "mountPath": "/e", "subPathExpr": "x/$(N)"}]}, {"N": "y"})
    assert tmp_path / "volumes" / "e" / "x" / "y" == mount.source
    assert mount.source.is_dir()

    with pytest.raises(ContainerError, match="leads out"):
        list(volumes.mounts({"volumeMounts": [{"name": "e", "mountPath": "/e", "subPath": "../../x"}]}, {}))


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (
            {"name": "v", "persistentVolumeClaim": {"claimName": "c"}},
            "volume 'v': this node has no persistentVolumeClaim",
        ),
        ({"name": "v", "secret": {"secretName": "none"}}, "volume 'v': Secret shop/none was not given"),
        ({"name": "v", "configMap": {"name": "settings", "items": [{"key": "k", "path": "p"}]}}, "has no key 'k'"),
        (
            {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]}},
            "a token of service account shop/default for 'vault' was not given",
        ),
        ({"name": "v", "projected": {"sources": [{"clusterTrustBundle": {}}]}}, "has no clusterTrustBundle source"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, volume, text):
    """One sentence with the volume's name."""
    with pytest.raises(NodeError, match=text):
        _create(tmp_path, volume)


def test_removing_leaves_nothing(tmp_path):
    """Not even the folder."""
    volumes, _ = _create(tmp_path, DOWNWARD)
    volumes.remove()

    assert [] == list(tmp_path.iterdir())

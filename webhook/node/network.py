"""The node's network: a bridge, and for each Pod a network namespace that hangs on it by a veth pair."""

import asyncio
import contextlib
import ipaddress
import os
from dataclasses import dataclass, field
from typing import Final

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from webhook.node.errors import NodeError
from webhook.node.process import Helper

BRIDGE: Final = "cni0"
SUBNET: Final = ipaddress.IPv4Network("10.244.0.0/16")
GATEWAY: Final = str(SUBNET[1])
"""The bridge's own address: every Pod's gateway and name server."""

_LIMIT: Final = 30.0
"""Seconds for what takes a tenth of one; the kernel does it one at a time for the whole machine."""


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """One Pod's address and its namespaces, which live as long as the descriptors are open."""

    address: str
    interface: str
    namespaces: tuple[int, ...]
    """Network, UTS and IPC."""


@dataclass(slots=True)
class Network:
    """Makes and takes away the bridge and what hangs on it; one at a time in a network namespace."""

    _used: set[str] = field(default_factory=set)
    _last: int = 1
    _link: AsyncIPRoute | None = None
    _bridge: int = 0
    # One netlink socket: its requests are not to be mixed.
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> None:
        """Make the bridge; NodeError if there is one already, or on an event loop that cannot speak to the kernel."""
        if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
            raise NodeError("a node needs asyncio's own event loop: uvloop has no netlink sockets")
        self._link = AsyncIPRoute()
        try:
            async with asyncio.timeout(_LIMIT):
                await self._make_bridge(self._link)
        except (NetlinkError, TimeoutError) as error:
            self._hang_up()
            raise NodeError(f"bridge {BRIDGE} cannot be made: {error!r}; only one node runs in a sandbox") from error

    async def attach(self, hostname: str) -> PodNetwork:
        """Make a Pod's namespaces and connect them; NodeError if the kernel or the subnet gives no more."""
        address = self._next_address()
        helper = await Helper.start("webhook.node.hold", hostname)
        namespaces: tuple[int, ...] = ()
        try:
            async with asyncio.timeout(_LIMIT):
                await self._expect(helper, "ready")
                namespaces = _open_namespaces(helper.child.pid)
                interface = await self._connect(address, namespaces[0])
                await helper.say(f"{address} {SUBNET.netmask} {GATEWAY}".encode())
                await self._expect(helper, "done")
        except BaseException as error:
            _close(namespaces)
            if isinstance(error, TimeoutError | NetlinkError):
                raise NodeError(f"a Pod's network cannot be made: {error!r}") from error
            raise
        finally:
            await helper.close()
        self._used.add(address)
        return PodNetwork(address, interface, namespaces)

    async def detach(self, pod: PodNetwork) -> None:
        """Take a Pod's connection away at once, and let go of its namespaces."""
        if self._link is not None:
            async with self._lock:
                for index in await self._link.link_lookup(ifname=pod.interface):
                    # Gone by itself if the namespace died first.
                    with contextlib.suppress(NetlinkError):
                        await self._link.link("del", index=index)
        _close(pod.namespaces)
        self._used.discard(pod.address)

    async def close(self) -> None:
        """Take the bridge away."""
        if self._link is not None:
            with contextlib.suppress(NetlinkError):
                await self._link.link("del", index=self._bridge)
            self._hang_up()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None

    async def _make_bridge(self, link: AsyncIPRoute) -> None:
        await link.link("add", ifname=BRIDGE, kind="bridge")
        self._bridge = (await link.link_lookup(ifname=BRIDGE))[0]
        await link.addr("add", index=self._bridge, address=GATEWAY, prefixlen=SUBNET.prefixlen)
        await link.link("set", index=self._bridge, state="up")

    async def _connect(self, address: str, namespace: int) -> str:
        if self._link is None:
            raise NodeError("the network is not open")
        name = "veth" + address.removeprefix("10.244.").replace(".", "-")
        inner = {"ifname": "eth0", "net_ns_fd": namespace}
        async with self._lock:
            await self._link.link("add", ifname=name, kind="veth", peer=inner)
            index = (await self._link.link_lookup(ifname=name))[0]
            await self._link.link("set", index=index, master=self._bridge, state="up")
        return name

    def _next_address(self) -> str:
        # Never soon again: an address that has just been given up may still be in somebody's DNS cache.
        for _ in range(SUBNET.num_addresses - 3):
            self._last = self._last + 1 if self._last < SUBNET.num_addresses - 2 else 2
            address = str(SUBNET[self._last])
            if address not in self._used:
                return address
        raise NodeError(f"no address of {SUBNET} is free")

    async def _expect(self, helper: Helper, word: str) -> None:
        answer = await helper.hear()
        if answer[:1] != [word]:
            raise NodeError(f"a Pod's namespaces cannot be made: {' '.join(answer) or 'the helper died'}")


def _open_namespaces(pid: int) -> tuple[int, ...]:
    return tuple(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("net", "uts", "ipc"))


def _close(namespaces: tuple[int, ...]) -> None:
    for fd in namespaces:
        os.close(fd)

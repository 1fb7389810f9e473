"""The cluster's DNS server, for Services and the Pods of headless ones, over UDP and TCP."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from dnslib import QTYPE, RCODE, RR, SOA, SRV, A, DNSHeader, DNSRecord
from dnslib.dns import DNSError

from webhook.node.errors import NodeError
from webhook.node.zone import Zone

_PLAIN_UDP: Final = 512
_LARGEST_UDP: Final = 4096
_IDLE: Final = 10.0


def answer(query: bytes, zone: Zone, *, ttl: int, limit: int | None = None) -> bytes | None:
    """Answer a query on the wire; None if it is none. With a limit (UDP) a longer answer is cut, with the TC bit."""
    try:
        request = DNSRecord.parse(query)
    except (DNSError, ValueError):
        return None
    if len(request.questions) != 1 or request.header.qr:
        return None
    reply = _reply(request, zone, ttl)
    packed = bytes(reply.pack())
    if limit is not None and len(packed) > _room(request, limit):
        reply.rr, reply.auth, reply.header.tc = [], [], 1
        packed = bytes(reply.pack())
    return packed


def _reply(request: DNSRecord, zone: Zone, ttl: int) -> DNSRecord:
    name = str(request.q.qname).rstrip(".").lower()
    header = DNSHeader(id=request.header.id, qr=1, aa=1, ra=0, rd=request.header.rd)
    reply = DNSRecord(header, q=request.q)
    if not zone.covers(name):
        header.aa, header.rcode = 0, RCODE.REFUSED
        return reply
    kind = QTYPE.get(request.q.qtype)
    if kind in {"A", "ANY"}:
        reply.add_answer(*_addresses(str(request.q.qname), zone.addresses.get(name, ()), ttl))
    if kind in {"SRV", "ANY"}:
        _add_servers(reply, str(request.q.qname), zone, ttl)
    if not reply.rr:
        header.rcode = RCODE.NOERROR if zone.exists(name) else RCODE.NXDOMAIN
        reply.add_auth(_authority(zone, ttl))
    return reply


def _addresses(name: str, addresses: tuple[str, ...], ttl: int) -> list[RR]:
    # Shuffled as by CoreDNS: a client that takes the first one spreads all the same.
    shuffled = random.sample(addresses, len(addresses))
    return [RR(name, QTYPE.A, rdata=A(address), ttl=ttl) for address in shuffled]


def _add_servers(reply: DNSRecord, name: str, zone: Zone, ttl: int) -> None:
    for target, port in zone.servers.get(name.rstrip(".").lower(), ()):
        reply.add_answer(RR(name, QTYPE.SRV, rdata=SRV(0, 100, port, target + "."), ttl=ttl))
        reply.add_ar(*_addresses(target + ".", zone.addresses.get(target, ()), ttl))


def _authority(zone: Zone, ttl: int) -> RR:
    times = (int(time.time()), 7200, 1800, 86400, ttl)
    data = SOA(f"ns.dns.{zone.domain}.", f"hostmaster.{zone.domain}.", times)
    return RR(f"{zone.domain}.", QTYPE.SOA, rdata=data, ttl=ttl)


def _room(request: DNSRecord, limit: int) -> int:
    sizes = [int(record.rclass) for record in request.ar if record.rtype == QTYPE.OPT]
    return min(limit, max(_PLAIN_UDP, *sizes)) if sizes else _PLAIN_UDP


class Views:
    """The zones of the last while; what is seen is the one of `staleness` seconds ago."""

    def __init__(self, first: Zone, staleness: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.staleness = staleness
        """Seconds until a change is seen, as behind a DNS cache; may be set at any time."""
        self._clock = clock
        self._zones: deque[tuple[float, Zone]] = deque([(clock(), first)])

    def publish(self, zone: Zone) -> None:
        """Take a new state; one that equals the last is no change."""
        if zone != self._zones[-1][1]:
            self._zones.append((self._clock(), zone))

    def seen(self) -> Zone:
        """Give the zone that a client sees now."""
        horizon = self._clock() - self.staleness
        while len(self._zones) > 1 and self._zones[1][0] <= horizon:
            self._zones.popleft()
        return self._zones[0][1]


class DnsServer:
    """Serves what `views` shows on one address until it is closed."""

    def __init__(self, views: Views, ttl: int) -> None:
        self.views = views
        self.ttl = ttl
        """Seconds; given with every record from now on."""
        self.queries = 0
        """How many have been answered."""
        self._datagrams: asyncio.DatagramTransport | None = None
        self._stream: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self, host: str, port: int = 53) -> None:
        """Listen; NodeError if the address is taken or forbidden."""
        loop = asyncio.get_running_loop()
        try:
            self._datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (host, port))
            self._stream = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            await self.close()
            raise NodeError(f"DNS cannot listen on {host}:{port}: {error}") from error

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._datagrams is not None:
            self._datagrams.close()
        for writer in self._connections:
            writer.transport.abort()
        if self._stream is not None:
            self._stream.close()
            await self._stream.wait_closed()

    def reply(self, query: bytes, *, limit: int | None = None) -> bytes | None:
        """Answer one query from what is seen now."""
        self.queries += 1
        return answer(query, self.views.seen(), ttl=self.ttl, limit=limit)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        # A client that hangs up or falls silent is its own business.
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            while True:
                async with asyncio.timeout(_IDLE):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    reply = self.reply(await reader.readexactly(size))
                if reply is None:
                    break
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        self._connections.discard(writer)
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By its name only: the event loop's own class does not derive from the one that it stands for.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.reply(data, limit=_LARGEST_UDP)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)

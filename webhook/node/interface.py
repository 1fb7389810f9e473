"""Sets up the network interfaces of the namespace that the caller is in, by ioctl alone."""

import fcntl
import socket
import struct
from typing import Final

_SIOCADDRT: Final = 0x890B
_SIOCSIFFLAGS: Final = 0x8914
_SIOCSIFADDR: Final = 0x8916
_SIOCSIFNETMASK: Final = 0x891C
_IFF_UP: Final = 1
_RTF_UP_GATEWAY: Final = 3


def raise_loopback() -> None:
    """Set `lo` up; it then has 127.0.0.0/8 and ::1."""
    with _control() as control:
        _raise(control, "lo")


def configure(name: str, address: str, netmask: str, gateway: str) -> None:
    """Give an interface its IPv4 address, set it up and send everything else to the gateway."""
    with _control() as control:
        for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, netmask)):
            fcntl.ioctl(control, request, struct.pack("16s16s8x", name.encode(), _ipv4(value)))
        _raise(control, name)
        anywhere = _ipv4("0.0.0.0")  # noqa: S104  # the default route, nobody listens
        # struct rtentry: destination, gateway and mask lie one after the other, then the flags.
        route = struct.pack("8x16s16s16sH62x", anywhere, _ipv4(gateway), anywhere, _RTF_UP_GATEWAY)
        fcntl.ioctl(control, _SIOCADDRT, route)


def _control() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _raise(control: socket.socket, name: str) -> None:
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), _IFF_UP))


def _ipv4(address: str) -> bytes:
    return struct.pack("H2x4s8x", socket.AF_INET, socket.inet_aton(address))

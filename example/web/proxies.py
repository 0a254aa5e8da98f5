"""Who really calls: the client behind proxies that this installation trusts. Pure ASGI, before anything that looks at the client.

Forwarded headers of anybody else are ignored: anybody can write them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.utils import get_remote_addr, is_ssl

from example.identity.patterns import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FOR, _FORWARDED, _PROTO = b"x-forwarded-for", b"forwarded", b"x-forwarded-proto"
_HEADERS = frozenset((_FOR, _FORWARDED, _PROTO))
_SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}
_PAIR = r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]+|"(?:[^"\\]|\\.)*")"""  # RFC 7239, 4; also colons unquoted
_ELEMENT = re.compile(rf"{_PAIR}(?:\s*;\s*{_PAIR})*")
_PAIRS = re.compile(_PAIR)


class TrustedProxies:
    """Sets a request's ``client`` and ``scheme`` to what proxies in ``networks`` say, when the peer itself is one of them."""

    def __init__(self, app: ASGIApp, networks: Sequence[Network]) -> None:
        self._app = app
        self._networks = tuple(networks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in _SCHEMES:
            said = [(name, value) for name, value in scope["headers"] if name in _HEADERS]
            if said:  # if nobody says anything, the server has told the truth
                _undo_uvicorn(scope, receive)
                self._see_through(scope, said)
        await self._app(scope, receive, send)

    def _see_through(self, scope: Scope, said: list[tuple[bytes, bytes]]) -> None:
        peer = _address(scope["client"][0]) if scope.get("client") else None
        if peer is None or not self._trusts(peer):
            return
        client = peer
        for hop in _hops(said):  # the nearest first
            if hop is None:  # hidden on purpose, or nonsense: the last that is known must do
                break
            client = hop
            if not self._trusts(hop):  # what it says of others may be a lie
                break
        if client != peer:
            scope["client"] = (str(client), 0)
        scheme = _joined(said, _PROTO).rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            scope["scheme"] = _SCHEMES[scope["type"]][scheme == "https"]

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _undo_uvicorn(scope: Scope, receive: Receive) -> None:
    """Tell the peer as it is on the socket.

    uvicorn by default believes 127.0.0.1 and ::1 (FORWARDED_ALLOW_IPS) and overwrites client and scheme before any app sees them. Whether
    it did, and which of the two the peer was, can't be told from the scope: even the port is what the header says. The connection knows,
    and ``receive``, a method of uvicorn's, knows the connection. So TRUSTED_PROXIES alone decides, whatever flags uvicorn was started with.
    tests/web/test_proxies.py asks a real uvicorn; other servers don't rewrite, and their ``receive`` has no transport.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is not None:
        scope["client"] = get_remote_addr(transport)
        scope["scheme"] = _SCHEMES[scope["type"]][is_ssl(transport)]


def _joined(said: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    return ",".join(value.decode("latin-1") for name, value in said if name == wanted)


def _hops(said: list[tuple[bytes, bytes]]) -> Iterator[Address | None]:
    """The addresses that the request came through, the nearest first; ``None`` for one that isn't told. X-Forwarded-For goes first, because
    it is what most proxies write: the other header may come from the client.
    """
    if addresses := _joined(said, _FOR):
        return (_address(part) for part in _from_the_end(addresses))
    return (_address(_for_of(part)) for part in _from_the_end(_joined(said, _FORWARDED)))


def _from_the_end(text: str) -> Iterator[str]:
    """Members of a list, the last first. Splitting at each comma, also in quotes, is on purpose: so an open quote of the client's doesn't
    swallow what the proxy has added, and half a quoted text is no element.
    """
    return (part.strip() for part in reversed(text.split(",")) if part.strip())


def _for_of(element: str) -> str:
    """The ``for`` of an element of Forwarded (RFC 7239); empty when there is none, or the element is none."""
    if not _ELEMENT.fullmatch(element):
        return ""
    pairs: list[tuple[str, str]] = _PAIRS.findall(element)
    return next((value.strip('"') for name, value in pairs if name.lower() == "for"), "")


def _address(text: str) -> Address | None:
    """The address of ``1.2.3.4``, ``1.2.3.4:80``, ``::1`` or ``[::1]:80``, without port and zone; IPv4 also where IPv6 maps it."""
    if text.startswith("["):
        text, closed, _ = text[1:].partition("]")
        text = text if closed else ""
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

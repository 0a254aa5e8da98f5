"""Who really calls: forwarded headers are believed from trusted proxies, and from nobody else."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any, Literal

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message, Receive, Scope, Send

from example.web.proxies import TrustedProxies

NETWORKS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def seen(*headers: tuple[str, str], peer: str | None = "10.0.0.1", kind: str = "http") -> tuple[str | None, str]:
    """Client and scheme, as an app behind the middleware sees them."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "headers": raw, "client": (peer, 1234) if peer else None, "scheme": "ws" if kind == "websocket" else "http"}
    found: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(_message: Message) -> None:
        raise AssertionError

    asyncio.run(TrustedProxies(app, NETWORKS)(scope, receive, send))
    client = found[0]["client"]
    return client[0] if client else None, found[0]["scheme"]


def client(*headers: tuple[str, str], peer: str | None = "10.0.0.1") -> str | None:
    return seen(*headers, peer=peer)[0]


FOR = "X-Forwarded-For"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("192.0.2.7, fd00::2, 10.0.0.2", "192.0.2.7"),
        ("192.0.2.7, ", "192.0.2.7"),
    ],
)
def test_a_trusted_proxy_says_who_calls(value: str, expected: str) -> None:
    assert client((FOR, value)) == expected


def test_what_a_client_wrote_before_the_proxy_did_is_not_believed() -> None:
    assert client((FOR, "127.0.0.1, 192.0.2.7")) == "192.0.2.7"
    assert client((FOR, "127.0.0.1"), (FOR, "192.0.2.7")) == "192.0.2.7"


def test_a_client_that_nobody_trusts_says_nothing() -> None:
    assert client((FOR, "127.0.0.1"), ("Forwarded", "for=127.0.0.1"), peer="192.0.2.66") == "192.0.2.66"


def test_a_proxy_is_known_by_its_ipv4_address_on_an_ipv6_socket() -> None:
    assert client((FOR, "192.0.2.7"), peer="::ffff:10.0.0.1") == "192.0.2.7"


@pytest.mark.parametrize("peer", [None, "testclient"])
def test_a_peer_without_an_address_is_no_proxy(peer: str | None) -> None:
    assert client((FOR, "192.0.2.7"), peer=peer) == peer


def test_when_proxies_only_called_the_farthest_one_counts() -> None:
    assert client((FOR, "10.0.0.3, 10.0.0.2")) == "10.0.0.3"


@pytest.mark.parametrize("value", ["unknown", "", ",", "999.1.1.1", "[::1", "1:2", "a:b:c", "x" * 5000, "\xff", "192.0.2.7, _hidden"])
def test_a_proxy_that_names_nobody_is_counted_itself(value: str) -> None:
    assert client((FOR, value)) == "10.0.0.1"


def test_behind_a_hidden_hop_the_last_known_proxy_counts() -> None:
    assert client((FOR, "192.0.2.7, unknown, 10.0.0.2")) == "10.0.0.2"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=192.0.2.7", "192.0.2.7"),
        ('For="192.0.2.7:4711"; proto=https;by=10.0.0.1', "192.0.2.7"),
        ('proto=http;for="[2001:db8::7]:4711"', "2001:db8::7"),
        ("for=127.0.0.1, for=192.0.2.7, for=10.0.0.2", "192.0.2.7"),
        ("for=192.0.2.7:80", "192.0.2.7"),
        ('for="1.2.3.4, for=192.0.2.7', "192.0.2.7"),
        ("for=unknown", "10.0.0.1"),
        ("for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
        ('for=192.0.2.7;host="x, for=9.9.9.9;a="', "10.0.0.1"),
        ('for=192.0.2.7;host="x, for=9.9.9.9"', "10.0.0.1"),
        ("=;=", "10.0.0.1"),
    ],
)
def test_forwarded_is_read_too(value: str, expected: str) -> None:
    assert client(("Forwarded", value)) == expected


def test_forwarded_is_read_only_where_the_usual_header_is_missing() -> None:
    assert client(("Forwarded", "for=127.0.0.1"), (FOR, "192.0.2.7")) == "192.0.2.7"


@given(st.binary(max_size=200), st.sampled_from(["X-Forwarded-For", "Forwarded", "X-Forwarded-Proto"]))
def test_nothing_that_a_header_holds_crashes(value: bytes, name: str) -> None:
    assert client((name, value.decode("latin-1"))) is not None


@pytest.mark.parametrize(("value", "scheme"), [("https", "https"), ("http", "http"), ("http, HTTPS", "https"), ("gopher", "http")])
def test_a_trusted_proxy_says_by_which_scheme(value: str, scheme: str) -> None:
    assert seen(("X-Forwarded-Proto", value)) == ("10.0.0.1", scheme)


def test_nobody_else_says_by_which_scheme() -> None:
    assert seen(("X-Forwarded-Proto", "https"), peer="192.0.2.66") == ("192.0.2.66", "http")


def test_websockets_have_schemes_of_their_own() -> None:
    assert seen((FOR, "192.0.2.7"), ("X-Forwarded-Proto", "https"), kind="websocket") == ("192.0.2.7", "wss")


def test_a_request_that_came_directly_is_left_alone() -> None:
    assert seen(("Accept", "*/*")) == ("10.0.0.1", "http")


def test_the_lifespan_passes() -> None:
    passed: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        passed.append(scope)

    nothing: Any = None
    asyncio.run(TrustedProxies(app, NETWORKS)({"type": "lifespan"}, nothing, nothing))
    assert passed == [{"type": "lifespan"}]


async def tell(scope: Scope, _receive: Receive, send: Send) -> None:
    """An app that answers with what it sees."""
    body = json.dumps({"client": scope["client"], "scheme": scope["scheme"]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


Ask = Callable[[dict[str, str]], dict[str, Any]]


def served(trusted: list[str], http: Literal["h11", "httptools"], **options: Any) -> Iterator[Ask]:
    app = Starlette(routes=[Mount("/", tell)])
    app.add_middleware(TrustedProxies, networks=[ip_network(one) for one in trusted])
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=http, log_config=None, access_log=False, lifespan="off", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http_client:
        yield lambda headers: dict(http_client.get("/", headers=headers).json())
    server.should_exit = True
    thread.join()


@pytest.fixture(params=["h11", "httptools"])
def plain(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """A uvicorn as anybody would start it, which believes loopback."""
    yield from served([], request.param)


@pytest.fixture
def generous() -> Iterator[Ask]:
    """A uvicorn that was told to believe everybody."""
    yield from served([], "httptools", forwarded_allow_ips="*")


@pytest.fixture
def behind_a_proxy() -> Iterator[Ask]:
    yield from served(["127.0.0.1"], "httptools")


@pytest.mark.parametrize("value", ["192.0.2.7", "192.0.2.7:4711", "::1", "unknown"])
def test_uvicorn_believes_loopback_and_we_do_not(plain: Ask, value: str) -> None:
    answer = plain({FOR: value, "X-Forwarded-Proto": "https"})
    assert (answer["client"][0], answer["scheme"]) == ("127.0.0.1", "http")
    assert answer["client"][1] not in (0, 4711)


def test_no_flag_of_uvicorn_makes_us_believe_anybody(generous: Ask) -> None:
    assert generous({FOR: "192.0.2.7"})["client"][0] == "127.0.0.1"


def test_behind_uvicorn_a_trusted_proxy_is_believed(behind_a_proxy: Ask) -> None:
    answer = behind_a_proxy({FOR: "192.0.2.66, 192.0.2.7", "X-Forwarded-Proto": "https"})
    assert (answer["client"], answer["scheme"]) == (["192.0.2.7", 0], "https")

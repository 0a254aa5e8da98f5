"""A small real HTTP server that gives scripted answers and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "pm_pat_" + "s3cr3t" * 8
TASK = "0b6f5c1e-5d6c-4b0f-9f43-0d7b3f2d9a10"
HELLO = {"id": 1, "name": "hello", "version": "2.1.0", "source": "nix", "status": "downloaded", "environments": ["default"]}


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: object


@dataclass(frozen=True)
class Reply:
    """One answer. `during` runs between the headers and the body: to wait, or to interrupt the client."""

    status: int
    body: bytes
    headers: dict[str, str]
    during: Callable[[], object] | None = None
    cut: bool = False


@dataclass
class Service:
    """The script: answers per method and path, the last one again and again."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    script: dict[str, list[Reply]] = field(default_factory=dict)

    def on(self, what: str, body: object = None, status: int = 200, **headers: str) -> None:
        """Answer `METHOD /path` with JSON."""
        self.raw(what, b"" if status == 204 else json.dumps(body).encode(), status, "application/json", **headers)

    def raw(self, what: str, body: bytes, status: int = 200, kind: str = "text/html", **headers: str) -> None:
        """Answer with exactly these bytes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.script.setdefault(what, []).append(Reply(status, body, {"Content-Type": kind, **named}))

    def problem(self, what: str, status: int, detail: str, **more: object) -> None:
        """Refuse, as RFC 9457 has it."""
        body = json.dumps({"type": "about:blank", "title": "No", "status": status, "detail": detail, **more}).encode()
        self.raw(what, body, status, "application/problem+json")

    def stream(self, task: str, *events: str, during: Callable[[], object] | None = None, cut: bool = False) -> None:
        """Answer a followed log with these events; `cut` breaks the connection in the middle of a chunk."""
        body = "".join(f"{event}\n\n" for event in events).encode()
        reply = Reply(200, body, {"Content-Type": "text/event-stream; charset=utf-8"}, during, cut)
        self.script.setdefault(f"GET /jobs/{task}/log", []).append(reply)

    def last(self) -> Asked:
        """The last request."""
        return self.asked[-1]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Give the next scripted answer to one request."""
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        path = parts.path.removeprefix("/api/v1")
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.command, path, parse_qs(parts.query), headers, body))
        replies = self.script[f"{handler.command} {path}"]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.cut:
            handler.send_header("Content-Length", str(len(reply.body) + 1))
        handler.end_headers()
        handler.wfile.write(reply.body)
        handler.wfile.flush()
        if reply.during:
            reply.during()


def event(kind: str, data: object, **fields: object) -> str:
    """One server-sent event; `data` that is not text is JSON."""
    text = data if isinstance(data, str) else json.dumps(data)
    lines = [f"{name}: {value}" for name, value in fields.items()]
    return "\n".join([*lines, f"event: {kind}", *(f"data: {line}" for line in text.split("\n"))])


def job(state: str = "succeeded", error: str | None = None, **progress: object) -> dict[str, object]:
    """A job as the service shows it."""
    return {"task_id": TASK, "kind": "download", "label": "hello 2.1.0", "state": state, "error": error, "progress": progress or None}


@contextmanager
def serving() -> Iterator[Service]:
    """A service on a free port of this machine."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.answer(self)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

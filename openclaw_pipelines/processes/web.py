"""The web UI behind a guard, and the daemon beside it, in one command.

Dagster's web server has no authentication, accepts any Host and executes mutations sent by GET, so any page open in a
browser could start runs. The guard binds to 127.0.0.1, knows its own name, and takes changes only as JSON from its own
pages. Reaching it from another machine is a matter for an authenticating proxy in front.
"""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.processes.bodies import (
    MOST_BYTES,
    READ_ONLY,
    given_again,
    only_reading,
    refused_operation,
    whole_body,
)

if TYPE_CHECKING:
    import dagster as dg
    import uvicorn
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESS = "127.0.0.1"
MODULE = "openclaw_pipelines.definitions"
_SAFE = frozenset({"GET", "HEAD"})
_DAEMON_STOP_SECONDS = 20.0


class PortTakenError(OpenclawError):
    """Something else listens there."""

    template = "port {port} on 127.0.0.1 is taken: {reason}. Stop what uses it, or choose another with --port."
    port: int
    reason: str


class DaemonStoppedError(OpenclawError):
    """The daemon ended by itself, so schedules and sensors would silently stand still."""

    template = "dagster-daemon ended with exit code {code}; its last lines are above. Start again once that is mended."
    code: int


@dataclass(frozen=True)
class Request:
    """What the guard looks at. headers: lower-case name -> all values, as they came."""

    kind: str
    method: str
    path: str
    query: str
    headers: dict[str, list[str]]

    def one(self, name: str) -> str | None:
        """The value of a header, None when it is absent or given more than once."""
        values = self.headers.get(name, [])
        return values[0] if len(values) == 1 else None


def refusal(request: Request, port: int, *, read_only: bool = False) -> str | None:
    """Why a request is refused, None when it may pass.

    >>> own = {"host": ["127.0.0.1:3000"]}
    >>> refusal(Request("http", "GET", "/runs", "", own), 3000) is None
    True
    >>> refusal(Request("http", "GET", "/runs", "", {"host": ["evil.example"]}), 3000)
    'Host is not one of 127.0.0.1:3000, localhost:3000'
    """
    hosts = (f"{ADDRESS}:{port}", f"localhost:{port}")
    if (request.one("host") or "").lower() not in hosts:
        return f"Host is not one of {', '.join(hosts)}"
    if "origin" in request.headers and request.one("origin") not in {f"http://{host}" for host in hosts}:
        return "Origin is a foreign page"
    if not _from_own_page(request):
        return "Sec-Fetch-Site says that another site asks"
    if request.kind == "http":
        return _refused_change(request, read_only=read_only)
    return None


def _from_own_page(request: Request) -> bool:
    """Own pages, programs, and a person who follows a link: that opens a page and changes nothing."""
    site = request.one("sec-fetch-site")
    if "sec-fetch-site" not in request.headers or site in ("same-origin", "none"):
        return True
    opens_page = request.one("sec-fetch-mode") == "navigate" and request.one("sec-fetch-dest") == "document"
    return request.method in _SAFE and opens_page


def _refused_change(request: Request, *, read_only: bool) -> str | None:
    graphql = _is_graphql(request)
    if request.method in _SAFE:
        asks = graphql and bool(parse_qs(request.query, keep_blank_values=True).keys() & {"query", "operationName"})
        return "GraphQL is taken only as a JSON POST" if asks else None
    if request.method != "POST":
        return f"{request.method} is never used here"
    if (request.one("content-type") or "").partition(";")[0].strip().lower() != "application/json":
        return "a POST must carry application/json"
    if graphql and "query=" in request.query:
        return "GraphQL is taken only from the body of a JSON POST"
    return "this server is read-only" if read_only and not graphql else None


def _is_graphql(request: Request) -> bool:
    return request.path.rstrip("/").endswith("/graphql")


class Guard:
    """ASGI middleware: requests that `refusal` names a reason for get 403 and never reach the application."""

    def __init__(self, app: "ASGIApp", port: int, *, read_only: bool = False) -> None:
        self.app, self.port, self.read_only = app, port, read_only

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Let one request or web socket pass, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request = _request(scope)
        reason = refusal(request, self.port, read_only=self.read_only)
        if reason is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        elif reason is not None:
            await _refuse(send, reason)
        elif scope["type"] == "websocket":
            await self.app(scope, only_reading(receive, send) if self.read_only else receive, send)
        elif request.method in _SAFE:
            await self.app(scope, receive, _unframed(send))
        else:
            await self._carry(request, scope, receive, send)

    async def _carry(self, request: Request, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Let a request with a body pass, or refuse it."""
        body = await whole_body(receive)
        if body is None:
            await _refuse(send, f"the body has more than {MOST_BYTES:,} bytes", status=413)
            return
        reason = refused_operation(body, read_only=self.read_only) if _is_graphql(request) else None
        if reason is not None:
            await _refuse(send, reason, status=403 if reason == READ_ONLY else 400)
            return
        await self.app(scope, given_again(body, receive), _unframed(send))


def _request(scope: "Scope") -> Request:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    query = scope.get("query_string", b"").decode("latin-1")
    return Request(scope["type"], scope.get("method", "GET"), scope["path"], query, headers)


def _unframed(send: "Send") -> "Send":
    """No other page may show this one in a frame and collect clicks."""

    async def sender(message: "Message") -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"x-frame-options", b"DENY")]
        await send(message)

    return sender


async def _refuse(send: "Send", reason: str, *, status: int = 403) -> None:
    body = f"Refused: {reason}.\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def guarded_app(instance: "dg.DagsterInstance", port: int, *, read_only: bool = False) -> Iterator["ASGIApp"]:
    """Dagster's web application behind the guard; its code location lives as long as the block."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    target = ModuleTarget(module_name=MODULE, attribute=None, working_directory=None, location_name=MODULE)
    instance.optimize_for_webserver(statement_timeout=15_000, pool_recycle=3_600, max_overflow=20)
    with WorkspaceProcessContext(instance, workspace_load_target=target, read_only=read_only) as context:
        yield Guard(create_app_from_workspace_process_context(context), port, read_only=read_only)


def serve(instance: "dg.DagsterInstance", port: int, *, read_only: bool = False) -> None:
    """Serve until interrupted, the daemon started and stopped with it.

    Raises:
        PortTakenError: the port is in use; nothing was started.
        DaemonStoppedError: the daemon ended by itself.
    """
    import uvicorn

    listener = bound_socket(port)
    with contextlib.closing(listener), guarded_app(instance, port, read_only=read_only) as app:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
        print(f"http://{ADDRESS}:{port}{' (read-only)' if read_only else ''}, Ctrl-C to stop", flush=True)
        if read_only:
            server.run(sockets=[listener])
        else:
            _serve_with_daemon(server, listener)


def bound_socket(port: int) -> socket.socket:
    """A socket that holds the port already, so that nothing starts when it is taken. Raises PortTakenError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortTakenError(port, error.strerror or type(error).__name__) from error
    return listener


def _serve_with_daemon(server: "uvicorn.Server", listener: socket.socket) -> None:
    with daemon_process() as daemon:
        watcher = threading.Thread(target=_stop_with, args=(daemon, server), daemon=True)
        watcher.start()
        server.run(sockets=[listener])
        code = daemon.poll()
    if code is not None:
        raise DaemonStoppedError(code)


def _stop_with(daemon: "subprocess.Popen[Any]", server: "uvicorn.Server") -> None:
    daemon.wait()
    server.should_exit = True


@contextlib.contextmanager
def daemon_process(extra: Sequence[str] = ()) -> Iterator["subprocess.Popen[Any]"]:
    """`dagster-daemon run` over the same definitions and DAGSTER_HOME, interrupted at the end of the block."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", MODULE, *extra]
    daemon = subprocess.Popen(command)  # noqa: S603 - our own interpreter and fixed arguments
    try:
        yield daemon
    finally:
        if daemon.poll() is None:
            daemon.terminate()
            try:
                daemon.wait(_DAEMON_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

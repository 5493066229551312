"""The guard in front of the web UI: each rule with a request that passes and its twin that does not.

The rules are tested on their own, then on a server that was really started.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from openclaw_pipelines.processes.bodies import refused_operation
from openclaw_pipelines.processes.web import Guard, PortTakenError, Request, bound_socket, refusal

PORT = 3000
OWN = {"host": "127.0.0.1:3000"}
FROM_PAGE = {**OWN, "origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"}
JSON = {"content-type": "application/json"}
QUERY = '{ __type(name: "Query") { name } }'


def request(method: str, target: str, headers: dict[str, str], kind: str = "http") -> Request:
    path, _, query = target.partition("?")
    return Request(kind, method, path, query, {name: [value] for name, value in headers.items()})


@pytest.mark.parametrize(
    ("passes", "refused"),
    [
        pytest.param(("GET", "/runs", OWN), ("GET", "/runs", {"host": "evil.example"}), id="foreign host"),
        pytest.param(
            ("GET", "/runs", OWN), ("GET", "/runs", {"host": "evil.example:3000"}), id="name that resolves here"
        ),
        pytest.param(("GET", "/runs", OWN), ("GET", "/runs", {"host": "127.0.0.1:3001"}), id="another port"),
        pytest.param(("GET", "/runs", {"host": "localhost:3000"}), ("GET", "/runs", {}), id="no host"),
        pytest.param(
            ("POST", "/graphql", {**FROM_PAGE, **JSON}),
            ("POST", "/graphql", {**FROM_PAGE, **JSON, "origin": "http://evil.example"}),
            id="foreign origin",
        ),
        pytest.param(
            ("POST", "/graphql", {**FROM_PAGE, **JSON}),
            ("POST", "/graphql", {**FROM_PAGE, **JSON, "origin": "null"}),
            id="origin of a sandboxed page",
        ),
        pytest.param(
            ("POST", "/graphql", {**FROM_PAGE, **JSON}),
            ("POST", "/graphql", {**FROM_PAGE, **JSON, "origin": "https://127.0.0.1:3000"}),
            id="other scheme",
        ),
        pytest.param(
            ("POST", "/graphql", {**OWN, **JSON, "sec-fetch-site": "same-origin"}),
            ("POST", "/graphql", {**OWN, **JSON, "sec-fetch-site": "same-site"}),
            id="page on another local port",
        ),
        pytest.param(
            ("POST", "/graphql", {**OWN, **JSON}),
            ("POST", "/graphql", {**OWN, "content-type": "application/x-www-form-urlencoded"}),
            id="form",
        ),
        pytest.param(
            ("POST", "/graphql", {**OWN, "content-type": "application/json; charset=utf-8"}),
            ("POST", "/graphql", {**OWN, "content-type": "text/plain; application/json"}),
            id="JSON in disguise of text",
        ),
        pytest.param(("POST", "/graphql", {**OWN, **JSON}), ("POST", "/graphql", OWN), id="no content type"),
        pytest.param(("GET", "/graphql", OWN), ("GET", "/graphql?query=mutation", OWN), id="mutation by GET"),
        pytest.param(("GET", "/graphql", OWN), ("HEAD", "/graphql?query=x", OWN), id="mutation by HEAD"),
        pytest.param(("GET", "/graphql", OWN), ("GET", "/graphql/?%71uery=x", OWN), id="mutation by GET, encoded"),
        pytest.param(
            ("POST", "/graphql", {**OWN, **JSON}),
            ("POST", "/graphql?query=x", {**OWN, **JSON}),
            id="query in the address",
        ),
        pytest.param(
            ("POST", "/report_asset_check/a", {**OWN, **JSON}),
            ("PUT", "/report_asset_check/a", {**OWN, **JSON}),
            id="other method",
        ),
        pytest.param(
            (
                "GET",
                "/runs",
                {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
            ),
            (
                "GET",
                "/runs",
                {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
            ),
            id="link against frame",
        ),
    ],
)
def test_each_rule_has_a_twin_that_passes(passes, refused):
    assert refusal(request(*passes), PORT) is None
    assert refusal(request(*refused), PORT) is not None


def test_a_header_given_twice_is_refused():
    twice = Request("http", "GET", "/", "", {"host": ["127.0.0.1:3000", "evil.example"]})
    assert refusal(twice, PORT) is not None


def test_web_sockets_take_only_own_pages():
    assert refusal(request("GET", "/graphql", FROM_PAGE, "websocket"), PORT) is None
    foreign = {**FROM_PAGE, "origin": "http://evil.example"}
    assert refusal(request("GET", "/graphql", foreign, "websocket"), PORT) == "Origin is a foreign page"


def test_a_read_only_server_takes_no_reports():
    report = request("POST", "/report_asset_check/a", {**OWN, **JSON})
    assert refusal(report, PORT) is None
    assert refusal(report, PORT, read_only=True) == "this server is read-only"


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        pytest.param(QUERY, True, id="query"),
        pytest.param("subscription { x }", True, id="subscription"),
        pytest.param("mutation { setNuxSeen }", False, id="mutation"),
        pytest.param("query a { version } mutation b { setNuxSeen }", False, id="mutation beside a query"),
        pytest.param("# mutation\n{ version }", True, id="the word in a comment"),
        pytest.param('{ a(x: "mutation { y }") }', True, id="the word in a text"),
        pytest.param("{" * 3_000 + "a" + "}" * 3_000, False, id="nested beyond what can be looked at"),
        pytest.param("{ a } " + "{ b } " * 20_000, False, id="longer than what is looked at"),
        pytest.param("mutation {", False, id="what cannot be read"),
    ],
)
def test_a_read_only_server_takes_no_mutation(query: str, passes: bool):
    body = json.dumps({"query": query})
    assert refused_operation(body, read_only=False) is None
    assert refused_operation(body, read_only=True) == (None if passes else "this server is read-only")


def test_what_is_no_operation_is_refused():
    assert refused_operation(b"[" * 100_000, read_only=False) == "the body is no JSON"
    assert refused_operation(b"\xff", read_only=False) == "the body is no JSON"
    assert refused_operation(b"[]", read_only=False) == "one operation at a time is taken, as a JSON object"


def test_a_mutation_over_a_web_socket_closes_a_read_only_one():
    import asyncio

    def socket_of(*texts: str, read_only: bool) -> tuple[list[str], list[str]]:
        """Messages that reached the application, and what was sent to the page."""
        waiting, reached, sent = [{"type": "websocket.receive", "text": text} for text in texts], [], []

        async def application(scope, receive, send):
            while (message := await receive())["type"] == "websocket.receive":
                reached.append(message["text"])

        async def receive():
            return waiting.pop(0) if waiting else {"type": "websocket.disconnect", "code": 1000}

        async def send(message):
            sent.append(message["type"])

        scope = {
            "type": "websocket",
            "path": "/graphql",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:3000")],
        }
        asyncio.run(Guard(application, PORT, read_only=read_only)(scope, receive, send))
        return reached, sent

    begin = json.dumps({"type": "connection_init", "payload": {}})
    asks = json.dumps({"type": "start", "id": "1", "payload": {"query": "subscription { x }"}})
    changes = json.dumps({"type": "start", "id": "2", "payload": {"query": "mutation { setNuxSeen }"}})
    assert socket_of(begin, asks, changes, begin, read_only=True) == ([begin, asks], ["websocket.close"])
    assert socket_of(begin, asks, changes, read_only=False) == ([begin, asks, changes], [])


def test_a_refused_request_never_reaches_the_application():
    import asyncio

    reached = []

    async def application(scope, receive, send):
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def status(host: bytes) -> int:
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", host)]}
        await Guard(application, PORT)(scope, None, send)
        return sent[0]["status"]

    assert asyncio.run(status(b"evil.example")) == 403
    assert reached == []
    assert asyncio.run(status(b"127.0.0.1:3000")) == 200
    assert reached == ["/"]


def test_a_taken_port_is_named():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 is taken"):
            bound_socket(port)
    bound_socket(port).close()


@dataclass(frozen=True)
class Server:
    """A running `openclaw web`."""

    port: int
    process: "subprocess.Popen[bytes]"

    def ask(self, method: str, target: str, body: object = None, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Host": f"127.0.0.1:{self.port}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        connection.request(method, target, None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        answer = response.status, response.read().decode(errors="replace")
        connection.close()
        return answer

    def daemons(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children if b"_daemon" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The guarded web UI and its daemon, over an empty project."""
    folder = tmp_path_factory.mktemp("web")
    shutil.copy(Path(__file__).parents[2] / "config" / "autopilot.yaml", folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_"))}
    environ |= {"OPENCLAW_CONFIG": str(folder / "autopilot.yaml"), "OPENCLAW_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-m", "openclaw_pipelines.cli", "web", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, cwd=folder, stdout=log, stderr=log)
    running = Server(port, process)
    try:
        wait_until_up(running, folder / "log")
        yield running
    finally:
        process.kill() if process.poll() is None else None
        process.wait()


def wait_until_up(server: Server, log: Path, seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert server.process.poll() is None, log.read_text()
        try:
            if server.ask("GET", "/server_info")[0] == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


# changes the instance's storage, harmlessly
MUTATION = {"query": "mutation { setNuxSeen }"}


class TestStartedServer:
    def test_pages_and_queries_pass(self, server: Server):
        assert server.ask("GET", "/asset-groups")[0] == 200
        status, answer = server.ask("POST", "/graphql", {"query": QUERY}, content_type="application/json")
        assert (status, json.loads(answer)) == (200, {"data": {"__type": {"name": "Query"}}})

    def test_a_mutation_passes_only_as_json_from_here(self, server: Server):
        own = {"content_type": "application/json", "Origin": f"http://127.0.0.1:{server.port}"}
        status, answer = server.ask("POST", "/graphql", MUTATION, **own)
        assert (status, json.loads(answer)) == (200, {"data": {"setNuxSeen": True}})
        foreign = {**own, "Origin": "http://evil.example"}
        assert server.ask("POST", "/graphql", MUTATION, **foreign) == (403, "Refused: Origin is a foreign page.\n")
        assert server.ask("POST", "/graphql", MUTATION, **{**own, "Host": "evil.example"})[0] == 403
        assert server.ask("POST", "/graphql", MUTATION, **{**own, "content_type": "text/plain"})[0] == 403
        assert server.ask("GET", "/graphql?query=mutation%20%7B%20setNuxSeen%20%7D")[0] == 403

    def test_a_body_beyond_the_bound_is_not_read_on(self, server: Server):
        own = {"content_type": "application/json"}
        long = {"query": QUERY, "variables": {"x": "y" * (4 << 20)}}
        assert server.ask("POST", "/graphql", long, **own) == (
            413,
            "Refused: the body has more than 4,194,304 bytes.\n",
        )
        short = {"query": QUERY, "variables": {"x": "y" * (3 << 20)}}
        assert server.ask("POST", "/graphql", short, **own)[0] == 200

    def test_a_batch_is_refused_by_name(self, server: Server):
        status, answer = server.ask("POST", "/graphql", [{"query": QUERY}], content_type="application/json")
        assert (status, answer) == (400, "Refused: one operation at a time is taken, as a JSON object.\n")

    @pytest.mark.parametrize(
        ("origin", "status"),
        [pytest.param(None, 101, id="own page"), pytest.param("http://evil.example", 403, id="foreign page")],
    )
    def test_web_socket(self, server: Server, origin: str | None, status: int):
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Protocol": "graphql-ws",
            "Origin": origin or f"http://127.0.0.1:{server.port}",
        }
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            text = "\r\n".join(["GET /graphql HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *lines, "", ""])
            connection.sendall(text.encode())
            assert connection.recv(1024).split()[1] == str(status).encode()

    def test_the_daemon_lives_and_ends_with_the_server(self, server: Server):
        (daemon,) = server.daemons()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert not Path(f"/proc/{daemon}").exists()

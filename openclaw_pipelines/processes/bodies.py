"""What a request to the web UI carries: bounded in bytes, one operation at a time, and no change where that is asked.

Dagster's server reads a body whole however long it is, answers a batch with an error of its own, and takes some
mutations although it is told to be read-only, also over web sockets.
"""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Send

MOST_BYTES = 4 << 20
"""Of a body: the longest that the pages send has a hundredth of that."""
READ_ONLY = "this server is read-only"
_MOST_TOKENS = 20_000


async def whole_body(receive: "Receive") -> bytes | None:
    """The body of a request; None, and not read on, once it has more than MOST_BYTES."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(body)


def given_again(body: bytes, receive: "Receive") -> "Receive":
    """What the application receives in place of a body that was read."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiver() -> "Message":
        return waiting.pop() if waiting else await receive()

    return receiver


def refused_operation(body: bytes | str, *, read_only: bool) -> str | None:
    """Why a GraphQL operation is refused, None where it may pass.

    >>> refused_operation(b'[{"query": "{ version }"}]', read_only=False)
    'one operation at a time is taken, as a JSON object'
    >>> refused_operation('{"query": "mutation { setNuxSeen }"}', read_only=True)
    'this server is read-only'
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is no JSON"
    if not isinstance(asked, dict):
        return "one operation at a time is taken, as a JSON object"
    return READ_ONLY if read_only and _changes(asked.get("query")) else None


def only_reading(receive: "Receive", send: "Send") -> "Receive":
    """What a web socket receives, closed at the first operation that is refused to read-only ones."""

    async def receiver() -> "Message":
        message = await receive()
        text = message.get("text") or message.get("bytes")
        if message["type"] != "websocket.receive" or not text:
            return message
        try:
            payload = json.loads(text).get("payload") or {}
            refused = _changes(payload.get("query")) if isinstance(payload, dict) else True
        except (ValueError, RecursionError, AttributeError):
            refused = True
        if not refused:
            return message
        await send({"type": "websocket.close", "code": 1008, "reason": READ_ONLY})
        return {"type": "websocket.disconnect", "code": 1008}

    return receiver


def _changes(query: object) -> bool:
    """Whether a document holds a mutation, or cannot be told to hold none."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    if query is None:
        return False
    try:
        document = parse(str(query), max_tokens=_MOST_TOKENS)
    except (GraphQLError, RecursionError):
        return True
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    return any(one.operation is OperationType.MUTATION for one in operations)

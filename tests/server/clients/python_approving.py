"""A person at a client on the Python SDK who is asked whether something may pass a gate; one JSON object on standard
output. Argument: JSON with `mode`, `url`, `token`, the `answer` to the question (`accept`, `refuse`, `decline`; null: this
client can't ask), and `source` and `destination` of a move."""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult

TARGET = json.loads(sys.argv[1])
ASKED = []


async def answer(context, params):
    ASKED.append(params.message)
    if TARGET["answer"] == "decline":
        return ElicitResult(action="decline")
    return ElicitResult(action="accept", content={"let_through": TARGET["answer"] == "accept"})


async def main():
    headers = {"Authorization": f"Bearer {TARGET['token']}"}
    more = {} if TARGET["answer"] is None else {"elicitation_callback": answer}
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(TARGET["url"], http_client=http)
        async with Client(transport, mode=TARGET["mode"], **more) as client:
            paths = {name: TARGET[name] for name in ("source", "destination")}
            moved = await client.call_tool("move_file", paths)
            said = json.loads(moved.content[0].text)
            return {"asked": ASKED, "is_error": bool(moved.is_error), "said": said}


print(json.dumps(asyncio.run(main())))

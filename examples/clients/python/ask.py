"""Asks a Waypost server over MCP: which tools there are, a question, and whether the quotes of its answer hold.

    pip install 'mcp>=2.3' httpx2
    WAYPOST_TOKEN=wp_… python ask.py "Who approves refunds above 500 euros?"
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

URL = os.environ.get("WAYPOST_URL", "http://127.0.0.1:7077")
OF_A_CITATION = ("path", "version", "start_byte", "end_byte", "quote")


async def call(client, tool, arguments):
    """What a tool says. A refusal says what was wrong, and often what to do next."""
    result = await client.call_tool(tool, arguments)
    said = json.loads(result.content[0].text)
    if result.is_error:
        raise SystemExit(f"{tool}: {said['message']}" + (f" ({said['next']})" if "next" in said else ""))
    return said


async def main(question):
    headers = {"Authorization": f"Bearer {os.environ['WAYPOST_TOKEN']}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(f"{URL}/mcp?toolsets=knowledge", http_client=http)
        async with Client(transport, mode="auto") as client:
            tools = (await client.list_tools()).tools
            print("tools:", ", ".join(tool.name for tool in tools))
            answer = await call(client, "ask", {"question": question})
            if answer["abstained"]:
                print("the files do not say it")
                return
            print(answer["answer"])
            cited = [{name: citation[name] for name in OF_A_CITATION} for citation in answer["citations"]]
            verified = await call(client, "verify_citations", {"citations": cited})
            for citation, result in zip(answer["citations"], verified["results"]):
                print(f"[{citation['n']}] {citation['path']}: {result['status']}")


asyncio.run(main(" ".join(sys.argv[1:]) or "What is in these files?"))

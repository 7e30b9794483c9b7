"""What an agent on the Python SDK sees; one JSON object on standard output. Argument: JSON with `mode` and `url` and
`token`, or `command`."""

import asyncio
import json
import sys

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference

TARGET = json.loads(sys.argv[1])


def text_of(result):
    return result.content[0].text


async def look(client):
    tools = (await client.list_tools()).tools
    found = await client.call_tool("search", {"query": "walrus"})
    hits = json.loads(text_of(found))["hits"]
    links = [str(block.uri) for block in found.content if block.type == "resource_link"]
    read = await client.read_resource(links[0])
    denied = await client.call_tool("read_file", {"path": "/docs/hidden/b.md"})
    prompts = (await client.list_prompts()).prompts
    prompt = await client.get_prompt("ask_with_citations", {"question": "Where do they swim?"})
    reference = PromptReference(type="ref/prompt", name="ask_with_citations")
    completed = await client.complete(reference, {"name": "path_prefix", "value": "/docs/"})
    return {
        "version": client.protocol_version,
        "tools": [tool.name for tool in tools],
        "hits": [hit["path"] for hit in hits],
        "links": links,
        "read": read.contents[0].text,
        "denied": {"is_error": denied.is_error, "code": json.loads(text_of(denied))["code"]},
        "prompts": [prompt.name for prompt in prompts],
        "prompt": prompt.messages[0].content.text,
        "completed": completed.completion.values,
    }


async def main():
    if "command" in TARGET:
        command = TARGET["command"]
        server = StdioServerParameters(command=command[0], args=command[1:], env=TARGET.get("env"))
        async with Client(server, mode=TARGET["mode"]) as client:
            return await look(client)
    import httpx2

    headers = {"Authorization": f"Bearer {TARGET['token']}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        async with Client(streamable_http_client(TARGET["url"], http_client=http), mode=TARGET["mode"]) as client:
            return await look(client)


print(json.dumps(asyncio.run(main())))

"""A server of tools for the tests: its list stands in a file that the tests change, and it writes down what reaches it.

    upstream_server.py TOOLS LOG            over standard input and output
    upstream_server.py TOOLS LOG --http     over streamable HTTP on a free port, which the log names

What a tool does follows from the beginning of its name: echo, slow, huge, progress, odd, env.
"""

import json
import os
import subprocess
import sys
import time

import anyio
import mcp.types as types
from mcp.server import Server
from mcp.server.lowlevel import NotificationOptions
from mcp.server.stdio import stdio_server

TOOLS, LOG = sys.argv[1], sys.argv[2]
sessions = []


def log(what, **more):
    with open(LOG, "a") as file:
        file.write(json.dumps({"what": what, "pid": os.getpid(), **more}) + "\n")


def stamp():
    try:
        status = os.stat(TOOLS)
        return (status.st_mtime_ns, status.st_size, status.st_ino)
    except FileNotFoundError:
        return None


async def list_tools(context, _params):
    if context.session not in sessions:
        sessions.append(context.session)
    with open(TOOLS) as file:
        listed = json.load(file)
    return types.ListToolsResult(tools=[types.Tool(**tool) for tool in listed])


async def call_tool(context, params):
    name, arguments = params.name, params.arguments or {}
    meta = dict(context.meta or {})
    log("call", tool=name, arguments=arguments, meta=sorted(meta), traceparent=meta.get("traceparent"))
    text, structured, is_error = json.dumps(arguments, sort_keys=True), None, False
    if name.startswith("slow"):
        try:
            await anyio.sleep(arguments.get("seconds", 60))
        except anyio.get_cancelled_exc_class():
            log("cancelled", tool=name)
            raise
    elif name.startswith("huge"):
        text = "x" * arguments["bytes"]
    elif name.startswith("progress"):
        for step in range(1, 4):
            await context.session.report_progress(step, 3, f"step {step}")
    elif name.startswith("odd"):
        structured = {"count": "not a number"}
    elif name.startswith("env"):
        text = json.dumps(dict(os.environ))
    elif name.startswith("fail"):
        text, is_error = "it went wrong", True
    content = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, structuredContent=structured, isError=is_error)


async def watch():
    last = stamp()
    while True:
        await anyio.sleep(0.02)
        now = stamp()
        if now != last:
            last = now
            for session in list(sessions):
                try:
                    await session.send_tool_list_changed()
                except Exception as error:  # It ended; nobody listens any more.
                    log("deaf", error=repr(error))
                    sessions.remove(session)


server = Server("fixture", version="1", on_list_tools=list_tools, on_call_tool=call_tool)


async def over_stdio():
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, options)
        group.cancel_scope.cancel()


async def without_initialize(receive, send):
    """Refuses the handshake of the older era; gives any other body once more."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    request = json.loads(body)
    if request.get("method") == "initialize":
        error = {"code": -32601, "message": "initialize is not known here"}
        answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode()
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": answer})
        return None
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again():
        return messages.pop() if messages else await receive()

    return again


async def over_http():
    import socket

    import uvicorn

    inner = server.streamable_http_app()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            log("request", method=scope["method"], path=scope["path"], headers=headers)
            if scope["path"] == "/elsewhere":
                location = [(b"location", b"/mcp")]
                await send({"type": "http.response.start", "status": 307, "headers": location})
                await send({"type": "http.response.body", "body": b""})
                return
            if "--modern" in sys.argv and scope["method"] == "POST":
                receive = await without_initialize(receive, send)
                if receive is None:
                    return
        await inner(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    log("port", port=listener.getsockname()[1])
    config = uvicorn.Config(app, log_level="warning")
    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await uvicorn.Server(config).serve(sockets=[listener])
        group.cancel_scope.cancel()


if __name__ == "__main__":
    log("start", argv=sys.argv[3:])
    if "--child" in sys.argv:
        # It does not look at its standard input, and must end all the same.
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        log("child", child=child.pid)
    if "--deaf" in sys.argv:
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    anyio.run(over_http if "--http" in sys.argv else over_stdio)
    if "--deaf" in sys.argv:
        time.sleep(600)

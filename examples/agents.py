"""A server of one's own, agents that talk to it, and receivers that it wakes. Standard library only."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import queue
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

BINARY = os.environ.get("WAYPOST", str(pathlib.Path(__file__).parent.parent / "target/release/waypost"))


class Server:
    """A server in a temporary folder, with one workspace `office`. It may tell receivers on this machine."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        home = self.folder.name
        command = [BINARY, "serve", "--home", home, "--listen", "127.0.0.1:0", "--json", "--offline", "--net-allow", "127.0.0.1"]
        settings = {"WAYPOST_WEBHOOK_RETRY_SECONDS": "0.5,1,2,4,8", "WAYPOST_MODELS": home + "/no-models"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **settings}
        )
        told = json.loads(self.process.stdout.readline())
        self.url = told["url"]
        self.admin = Agent(self.url, told["token"], "human:admin")
        self.admin.post("/v1/workspaces", {"name": "office"})

    def agent(self, name, **grants):
        """An agent with a token; `read="/office/**"` and the like say what it may do."""
        self.admin.post("/v1/principals", {"id": f"agent:{name}"})
        for verb, paths in grants.items():
            self.admin.post("/v1/grants", {"to": f"agent:{name}", "path": paths, "verbs": [verb]})
        token = self.admin.post("/v1/tokens", {"principal": f"agent:{name}"})["token"]
        return Agent(self.url, token, f"agent:{name}")

    def tree(self):
        """The workspace as any other program sees it: plain files."""
        root = pathlib.Path(self.folder.name) / "workspaces/office"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.folder.cleanup()


class Agent:
    """Somebody with a token."""

    def __init__(self, url, token, name):
        self.url, self.token, self.name = url, token, name

    def ask(self, method, path, body=None, kind="application/json"):
        request = urllib.request.Request(self.url + path, data=body, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.read()

    def post(self, path, body):
        return json.loads(self.ask("POST", path, json.dumps(body).encode()) or b"null")

    def get(self, path):
        return json.loads(self.ask("GET", path))

    def write(self, path, text):
        return json.loads(self.ask("PUT", "/v1/files" + path, text.encode(), "application/octet-stream"))

    def read(self, path):
        return self.ask("GET", "/v1/files" + path).decode()

    def says(self, text):
        # In one piece with its end, for agents that are threads speak at the same time.
        print(f"{time.strftime('%H:%M:%S')}  {self.name:18} {text}\n", end="", flush=True)


class Receiver:
    """An HTTP server that is told of events, checks who told them, and keeps them for whoever asks."""

    def __init__(self, port=0):
        self.events, self.secret = queue.Queue(), None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = outer.secret is None or is_signed(outer.secret, self.headers, body)
                self.send_response(204 if known else 401)
                self.end_headers()
                if known:
                    outer.events.put(json.loads(body))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/wake"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def subscribe(self, agent, **more):
        made = agent.post("/v1/webhooks", {"url": self.url, **more})
        self.secret = made["secret"]
        return made["id"]

    def next(self, timeout=30):
        return self.events.get(timeout=timeout)

    def die(self):
        self.server.shutdown()
        self.server.server_close()


def is_signed(secret, headers, body):
    """Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`; any of several signatures will do."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    recent = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return recent and any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split())

#!/usr/bin/env python3
"""What a query costs over HTTP while its folder is being embedded, and once it is known.

Usage: benches/asks.py WAYPOST FOLDER QUERIES.jsonl ({"text": …} a line). For either priority of embedding a server is started on an empty
home with FOLDER attached, and asked new queries until all is embedded; then the queries of the file, twice. Milliseconds, one client, ten hits.
"""
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time

# Queries asked while files are being embedded, at most.
N_NEW = 300


class Server:
    def __init__(self, program, folder, home, priority):
        env = {**os.environ, "WAYPOST_INDEXING_PRIORITY": priority}
        command = [program, "serve", "--home", home, "--attach", f"docs={folder}", "--listen", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        greeting = json.loads(self.process.stdout.readline())
        self.headers = {"Authorization": f"Bearer {greeting['token']}", "Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection(greeting["url"].removeprefix("http://"), timeout=60)

    def get(self, path):
        self.connection.request("GET", path, headers=self.headers)
        return json.loads(self.connection.getresponse().read())

    def ask(self, query):
        """Milliseconds, and how many files have no vectors yet."""
        begun = time.perf_counter()
        self.connection.request("POST", "/v1/search", json.dumps({"query": query, "limit": 10}), self.headers)
        reply = json.loads(self.connection.getresponse().read())
        return (time.perf_counter() - begun) * 1e3, reply["index"]["pending_files"]

    def wait(self, is_there):
        deadline = time.monotonic() + 1800
        while not is_there(self.get("/v1/workspaces/docs")):
            if time.monotonic() > deadline:
                sys.exit("asks: the folder was not indexed in half an hour")
            time.sleep(0.2)

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def told(what, times):
    times = sorted(times)
    print(f"{what:42} p50 {times[len(times) // 2]:6.1f}  p99 {times[len(times) * 99 // 100]:6.1f}  of {len(times)}", flush=True)


def run(program, folder, queries, priority):
    with tempfile.TemporaryDirectory() as home:
        server = Server(program, folder, home, priority)
        try:
            server.wait(lambda workspace: workspace["indexed_files"] > 0)
            times = []
            for turn in range(N_NEW):
                taken, pending = server.ask(f"{queries[turn % len(queries)]} {turn}")
                if pending == 0:
                    break
                times.append(taken)
            if not times:
                sys.exit("asks: everything was embedded before the first query; give a larger folder")
            told(f"while embedding, priority {priority}", times)
            server.wait(lambda workspace: workspace["index"]["pending_files"] == 0)
            told("read by the model", [server.ask(query)[0] for query in queries])
            told("asked before", [server.ask(query)[0] for query in queries])
        finally:
            server.end()


def main():
    program, folder, file = sys.argv[1:]
    with open(file, encoding="utf-8") as lines:
        queries = list(dict.fromkeys(json.loads(line)["text"] for line in lines))
    for priority in ("normal", "low"):
        run(program, folder, queries, priority)


if __name__ == "__main__":
    main()

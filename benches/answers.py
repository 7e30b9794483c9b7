#!/usr/bin/env python3
"""How often does `ask` answer what the demo's files answer, and refuse what they don't?

Usage: benches/answers.py WAYPOST [QUESTIONS.jsonl] [--show]. A server is started on an empty home with the demo's three workspaces, and asked every
question of `benches/demo-questions.jsonl`: {"question", "files", "answer"}, where a regular expression stands for the answer and no file
for none. `--show` prints each question with its quotes.
"""
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
WORKSPACES = ["engineering", "finance", "marketing"]


class Server:
    def __init__(self, program, home):
        command = [program, "serve", "--home", home, "--listen", "127.0.0.1:0", "--json", "--offline"]
        for name in WORKSPACES:
            command += ["--attach", f"{name}={HERE.parent / 'datasets/demo/workspaces' / name}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        greeting = json.loads(self.process.stdout.readline())
        self.headers = {"Authorization": f"Bearer {greeting['token']}", "Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection(greeting["url"].removeprefix("http://"), timeout=60)

    def send(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), self.headers)
        return json.loads(self.connection.getresponse().read())

    def wait(self):
        deadline = time.monotonic() + 600
        workspaces = lambda: [self.send("GET", f"/v1/workspaces/{name}") for name in WORKSPACES]
        pending = lambda: self.send("POST", "/v1/search", {"query": "water"})["index"]["pending_files"]
        while any(one["indexed_files"] == 0 for one in workspaces()) or pending():
            if time.monotonic() > deadline:
                sys.exit("answers: the demo was not indexed in ten minutes")
            time.sleep(0.5)

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def holds(cited, question):
    is_right = any(cited["path"] == "/" + path for path in question["files"])
    return is_right and re.search(question["answer"], cited["quote"]) is not None


def main():
    arguments = [one for one in sys.argv[1:] if one != "--show"]
    path = arguments[1] if len(arguments) > 1 else HERE / "demo-questions.jsonl"
    questions = [json.loads(line) for line in open(path)]
    counts = dict.fromkeys(["answerable", "answered", "first", "quoted", "unanswerable", "refused"], 0)
    with tempfile.TemporaryDirectory() as home:
        server = Server(os.path.realpath(arguments[0]), home)
        try:
            server.wait()
            for question in questions:
                reply = server.send("POST", "/v1/ask", {"question": question["question"]})
                cited = reply["citations"]
                if "--show" in sys.argv:
                    print(f"{reply['confidence']:.2f} {'refused ' if reply['abstained'] else ''}{question['question']}")
                    for one in cited:
                        print(f"       {'*' if question['files'] and holds(one, question) else ' '} {one['path']}: {one['quote'][:100]!r}")
                if question["files"]:
                    counts["answerable"] += 1
                    counts["answered"] += not reply["abstained"]
                    counts["first"] += bool(cited) and holds(cited[0], question)
                    counts["quoted"] += any(holds(one, question) for one in cited)
                else:
                    counts["unanswerable"] += 1
                    counts["refused"] += reply["abstained"]
        finally:
            server.end()
    print(
        "{answerable} questions that the files answer: {answered} answered, the answer quoted in {quoted}, first in {first}; "
        "{unanswerable} that they don't: {refused} refused".format(**counts)
    )


if __name__ == "__main__":
    main()

"""Reads the PDFs of a set of documents with `waypost`, `pdftotext` and `pypdf`, one after another, in one run.

Prints, for each: the share of the set's words that are found, pages and megabytes a second. Each program reads every
file ROUNDS times and the quickest round counts. `waypost` works as it does for a server: in a worker process, with the
file and its text going through pipes. `pdftotext` starts a process for each file, as its users do; `pypdf` runs inside
of Python.

    python benches/peers/extraction.py WAYPOST FOLDER

needs `pdftotext` (poppler-utils) and `pypdf`.
"""

import json
import pathlib
import subprocess
import sys
import time
import unicodedata

ROUNDS = 3


def entries(folder):
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [entry for entry in found if entry["format"] == "pdf" and entry.get("words")]


def fold(text):
    return unicodedata.normalize("NFKC", text).lower()


def by_pdftotext(path):
    done = subprocess.run(["pdftotext", "-q", str(path), "-"], capture_output=True, check=False)
    text = done.stdout.decode("utf-8", "replace")
    return text, text.count("\f")


def by_pypdf(path):
    import pypdf

    pages = [page.extract_text() for page in pypdf.PdfReader(path).pages]
    return "\n".join(pages), len(pages)


def measure(folder, read):
    words = found = pages = size = 0
    seconds = 0.0
    for entry in entries(folder):
        path = folder / entry["path"]
        best = float("inf")
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            text, n_pages = read(path)
            best = min(best, time.perf_counter() - begun)
        seconds += best
        pages += n_pages
        size += path.stat().st_size
        words += len(entry["words"])
        found += sum(fold(word) in fold(text) for word in entry["words"])
    return found / words, pages / seconds, size / 1e6 / seconds


def by_waypost(program, folder):
    best = None
    for _ in range(ROUNDS):
        done = subprocess.run(
            [program, "eval", "extraction", str(folder), "--split", "pdf", "--json"], capture_output=True, check=True
        )
        row = json.loads(done.stdout)["results"]["pdf"]
        if best is None or row["pages/s"] > best["pages/s"]:
            best = row
    return best["words found"], best["pages/s"], best["MB/s"]


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    rows = {
        "waypost": by_waypost(program, folder),
        "pdftotext": measure(folder, by_pdftotext),
        "pypdf": measure(folder, by_pypdf),
    }
    print(f"{'':12}{'words found':>14}{'pages/s':>12}{'MB/s':>10}")
    for name, (share, pages, size) in rows.items():
        print(f"{name:12}{share:>14.3f}{pages:>12.1f}{size:>10.2f}")


main()

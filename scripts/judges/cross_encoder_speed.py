"""How many pairs a second `transformers` on torch, or ONNX Runtime, scores with a cross-encoder's weights.

    cross_encoder_speed.py torch|onnx MODEL_FOLDER PAIRS.json SECONDS

Pairs are tokenized and sorted by length first and scored in batches of 32, as `cargo bench -p rerank --bench costs -- model` does. Prints pairs
a second. Needs torch, transformers and safetensors, and for onnx also onnx, onnxscript and onnxruntime, from PyPI.
"""

import json
import sys
import tempfile
import time

import torch
import transformers
from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

BATCH = 32


def main(engine, folder, pairs, seconds):
    transformers.logging.set_verbosity_error()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=f"{folder}/tokenizer.json", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    )
    model = BertForSequenceClassification.from_pretrained(folder, num_labels=1, torch_dtype=torch.float32).eval()
    most = model.config.max_position_embeddings
    with open(pairs, encoding="utf-8") as file:
        pairs = json.load(file)
    pairs.sort(key=lambda pair: len(tokenizer(*pair, truncation="longest_first", max_length=most).input_ids))
    batches = [
        tokenizer(
            [query for query, _ in part],
            [passage for _, passage in part],
            padding=True,
            truncation="longest_first",
            max_length=most,
            return_tensors="pt",
            return_token_type_ids=True,
        )
        for part in (pairs[at : at + BATCH] for at in range(0, len(pairs), BATCH))
    ]
    score = with_torch(model) if engine == "torch" else with_onnx(model, batches[0])
    score(batches[0])
    start, scored = time.monotonic(), 0
    # Every length as often as it is there.
    while scored == 0 or time.monotonic() - start < seconds:
        for batch in batches:
            scored += len(score(batch))
    print(f"{scored / (time.monotonic() - start):.2f}")


def with_torch(model):
    def score(batch):
        with torch.inference_mode():
            return model(**batch).logits.squeeze(1).tolist()

    return score


def with_onnx(model, example):
    import onnxruntime

    names = ["input_ids", "attention_mask", "token_type_ids"]
    path = tempfile.mkdtemp() + "/model.onnx"
    sizes = {0: "batch", 1: "length"}
    with torch.inference_mode():
        torch.onnx.export(
            model,
            tuple(example[name] for name in names),
            path,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={name: sizes for name in names},
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def score(batch):
        return session.run(["logits"], {name: batch[name].numpy() for name in names})[0].squeeze(1).tolist()

    return score


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))

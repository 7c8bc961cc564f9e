"""Scores pairs with `transformers` on torch, as the reference for our own cross-encoder.

    cross_encoder.py MODEL_FOLDER > services/rerank/tests/encoder/reference.json

Needs torch, transformers and safetensors from PyPI; the versions that were used are written into the output. Run it again
whenever the model in services/rerank/models changes.
"""

import json
import sys

import torch
import transformers
from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

# No empty passage: `transformers` takes one for no passage at all, and leaves out its closing mark.
PAIRS = [
    ("read a file into a string", "Reads the entire contents of a file into a string."),
    ("read a file into a string", "The number of threads that wait for the lock."),
    ("shutdown timeout", "Shuts down the runtime, waiting for at most the given duration for all spawned work to stop."),
    ("shutdown timeout", "Returns an iterator over the elements of the slice."),
    ("tcp listener", "A socket server, listening for connections."),
    ("tcp listener", "Closes the receiving half of a channel without dropping it."),
    ("", "A passage that nobody asked for."),
    ("Is the list empty?", "."),
    ("Größe — naïve café", "Ünïcode, 漢字 and emoji 🦀 are normalised before they are split."),
    ("HashMap::get_or_insert_with(&mut self)", "let value = map.entry(key).or_insert_with(Vec::new); // `code`"),
    ("a" * 150, "An unknown word of one letter, a hundred and fifty times."),
    ("wake the task", "Wakes the task. " * 60),
    ("wait until the lock is free and then take it without blocking the thread " * 15, "Takes the lock. " * 80),
    ("wait until the lock is free and then take it without blocking the thread " * 15, "Takes it."),
]


def main(folder):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=f"{folder}/tokenizer.json",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    )
    model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    pairs = []
    for query, passage in PAIRS:
        encoded = tokenizer(
            query,
            passage,
            truncation="longest_first",
            max_length=model.config.max_position_embeddings,
            return_token_type_ids=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            score = model(**encoded).logits[0, 0].item()
        pairs.append(
            {
                "query": query,
                "passage": passage,
                "ids": encoded["input_ids"][0].tolist(),
                "type_ids": encoded["token_type_ids"][0].tolist(),
                "score": score,
            }
        )
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    return {"made_with": versions, "pairs": pairs}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(json.dumps(main(sys.argv[1]), ensure_ascii=False, indent=1))

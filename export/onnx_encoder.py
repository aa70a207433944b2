"""The trained encoder as one ONNX graph: token ids to unit embeddings."""

import copy
import warnings
from pathlib import Path

import onnx
import torch

from training.encoder import SentenceEncoder

OPSET = 17
_EXAMPLE_TEXTS, _EXAMPLE_TOKENS = 2, 7


def write_onnx(model: SentenceEncoder, path: Path) -> None:
    """Write the model with pooling and L2 norm inside; any number of texts and tokens fits.

    Inputs ``input_ids`` and ``attention_mask`` are int64 (text, token); the output
    ``embedding`` is float32 (text, dim). The given model is left as it is.
    """
    plain = copy.deepcopy(model).eval().cpu().float()
    # attention spelt out as matrix products: the form that graph optimisers recognise
    plain.transformer.set_attn_implementation("eager")  # pyright: ignore[reportCallIssue]  # Hugging Face models have it
    texts, tokens = {0: "text"}, {0: "text", 1: "token"}
    example = torch.ones(_EXAMPLE_TEXTS, _EXAMPLE_TOKENS, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of every shape it reads
        torch.onnx.export(
            plain,
            (example, example),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": tokens, "attention_mask": tokens, "embedding": texts},
        )
    onnx.checker.check_model(str(path))

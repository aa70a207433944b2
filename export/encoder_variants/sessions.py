"""ONNX graphs in memory, run on texts: alone, or padded beside each other."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
from jaxtyping import Float32

from service.contract.tokens import TextTokeniser, TokenisedText


def open_graph(model: onnx.ModelProto) -> ort.InferenceSession:
    """Return a session of one core on a graph that lies in memory."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(
    session: ort.InferenceSession, names: Sequence[str], inputs: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Return the named outputs of one run."""
    return [np.asarray(found) for found in session.run(list(names), dict(inputs))]


def feed(texts: Sequence[TokenisedText], tokeniser: TextTokeniser) -> dict[str, np.ndarray]:
    """Return the graph's inputs for one run over ``texts``."""
    batch = tokeniser.pad(texts)
    return {"input_ids": batch.ids, "attention_mask": batch.mask}


def embed_alone(
    model: onnx.ModelProto, texts: Sequence[TokenisedText], tokeniser: TextTokeniser
) -> Float32[np.ndarray, "text dim"]:
    """Return one embedding a text, each from a run of its own."""
    session = open_graph(model)
    return np.concatenate(
        [run(session, ["embedding"], feed([text], tokeniser))[0] for text in texts]
    )


def embed_together(
    model: onnx.ModelProto, texts: Sequence[TokenisedText], tokeniser: TextTokeniser
) -> Float32[np.ndarray, "text dim"]:
    """Return one embedding a text from one run, all padded to the longest."""
    return run(open_graph(model), ["embedding"], feed(texts, tokeniser))[0]

"""fastembed behind FastAPI: a request is embedded alone, as many at a time as there are cores."""

import json
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Response
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from pydantic import BaseModel

CORES = len(os.sched_getaffinity(0))
TEXTS_A_RUN = 8
MODEL = "bundle/encoder"
DIM = 384
"""Of the packaged encoder; fastembed only tells it, it does not check it."""


class Body(BaseModel):
    """Texts to embed."""

    input: list[str]


def open_encoder(folder: Path) -> TextEmbedding:
    """Return fastembed's own model of the bundle's ONNX file and tokenizer."""
    bundle = Path(os.environ["BENCH_BUNDLE"])
    for name in ("encoder.onnx", "tokenizer.json"):
        (folder / name).symlink_to(bundle.resolve() / name)
    tokenizer = json.loads((bundle / "tokenizer.json").read_text(encoding="utf-8"))
    longest = {"model_max_length": tokenizer["truncation"]["max_length"], "pad_token": "[PAD]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(longest), encoding="utf-8")
    TextEmbedding.add_custom_model(
        model=MODEL,
        pooling=PoolingType.DISABLED,  # the file pools and normalises itself
        normalization=False,
        sources=ModelSource(hf=MODEL),  # never asked: the path below wins
        dim=DIM,
        model_file="encoder.onnx",
    )
    return TextEmbedding(MODEL, specific_model_path=str(folder), threads=1)


@asynccontextmanager
async def as_many_threads_as_cores(_: FastAPI) -> AsyncGenerator[None]:
    """Let no more requests run at a time than there are cores."""
    current_default_thread_limiter().total_tokens = CORES
    yield


app = FastAPI(lifespan=as_many_threads_as_cores)
encoder = open_encoder(Path(tempfile.mkdtemp()))


@app.post("/embeddings")
def embeddings(body: Body) -> Response:
    """Return a vector a text."""
    found = encoder.embed(body.input, batch_size=TEXTS_A_RUN)
    answer = {"data": [{"embedding": embedding} for embedding in found]}
    content = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type="application/json")


if __name__ == "__main__":
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_level="warning")

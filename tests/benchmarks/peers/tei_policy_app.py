"""The batching policy of text-embeddings-inference, written anew in Python: not TEI itself.

Taken from its queue: first come first served, as many texts as fit into 16,384 tokens padded to
the longest of them, one session that uses all cores, a batch made ready while another runs, 512
requests at a time and 429 beyond. TEI is Rust and is not on PyPI; its HTTP side is faster than this
one, its runs are not.
"""

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import orjson
import uvicorn
from fastapi import FastAPI, Response
from onnx_encoder import OnnxEncoder
from pydantic import BaseModel
from tokenizers import Encoding

BATCH_TOKENS = 16_384
MOST_REQUESTS = 512


class Body(BaseModel):
    """Texts to embed."""

    input: list[str]


class Queue:
    """Texts that wait, and the two tasks that make batches of them."""

    def __init__(self) -> None:
        self.encoder = OnnxEncoder(threads=len(os.sched_getaffinity(0)))
        self.requests = 0
        self._waiting: deque[tuple[Encoding, asyncio.Future[np.ndarray]]] = deque()
        self._arrived = asyncio.Semaphore(0)
        self._thread = ThreadPoolExecutor(1)
        self._tasks = [asyncio.create_task(self._run_batches()) for _ in range(2)]

    def add(self, text: Encoding) -> asyncio.Future[np.ndarray]:
        """Return what will be the embedding of ``text``."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((text, future))
        self._arrived.release()
        return future

    async def _run_batches(self) -> None:
        while True:
            await self._arrived.acquire()
            while batch := self._next_batch():
                texts = [text for text, _ in batch]
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self._thread, self.encoder.encode, texts)
                for (_, future), embedding in zip(batch, found, strict=True):
                    if not future.done():
                        future.set_result(embedding)

    def _next_batch(self) -> list[tuple[Encoding, asyncio.Future[np.ndarray]]]:
        batch: list[tuple[Encoding, asyncio.Future[np.ndarray]]] = []
        longest = 0
        while self._waiting:
            longest = max(longest, len(self._waiting[0][0].ids))
            if batch and longest * (len(batch) + 1) > BATCH_TOKENS:
                break
            batch.append(self._waiting.popleft())
        return batch


app = FastAPI()


@app.post("/embeddings")
async def embeddings(body: Body) -> Response:
    """Return a vector a text."""
    if not hasattr(app.state, "queue"):
        app.state.queue = Queue()
    queue: Queue = app.state.queue
    if queue.requests >= MOST_REQUESTS:
        return Response(status_code=429)
    queue.requests += 1
    try:
        found = await asyncio.gather(*map(queue.add, queue.encoder.tokenise(body.input)))
    finally:
        queue.requests -= 1
    answer = {"data": [{"embedding": embedding} for embedding in found]}
    content = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type="application/json")


if __name__ == "__main__":
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_level="warning")

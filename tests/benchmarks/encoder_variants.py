"""Forms of one trained encoder against fp32: speed, size, and the decisions that they change.

Run by `make bench-encoder` with CHECKPOINT and DATA, a checkpoint and the data folder that it was
trained on. Speeds are ratios to the plain fp32 export, every form in turn on the same texts in one
process, so that a noisy machine disturbs all alike; figures are medians. Decisions are those on
every validation, calibration and test query, at the similarity where fp32 reaches a precision on
them. Asserts nothing.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx

from export.encoder_variants.forms import INT8_SCHEMES
from export.encoder_variants.fusion import Shape, fuse
from export.encoder_variants.half import half_precision
from export.encoder_variants.parity_gate import Embedded, GateTexts, difference, gate_threshold
from export.encoder_variants.quantisation import Scheme, quantise
from export.encoder_variants.ranges import observe
from export.onnx_encoder import write_onnx
from service.contract.cpu import cpu_kind
from service.contract.tokens import TextTokeniser, TokenisedText
from service.encoder import Encoder
from tests.benchmarks.figures_file import write_figures
from tests.benchmarks.machine import machine
from tests.benchmarks.software import software
from training.checkpoint import Checkpoint, load_checkpoint
from training.console import progress, say, table
from training.data.folders import DataFolder, read_data_folder

BATCHES = (1, 8, 32)
TARGETS = (0.90, 0.95)
RANGE_TEXTS = 256
PLAIN = "fp32"
SCHEMES: Mapping[str, Scheme] = {
    "int8 dynamic": INT8_SCHEMES[1],
    "int8 static, nothing in float": Scheme("static"),
    "int8 static (served as int8)": INT8_SCHEMES[0],
}
TABLE_HEAD = (
    "form",
    "MB",
    *(f"speed at batch {size}" for size in BATCHES),
    "similarity off by (median, max)",
    "recall at 10",
    *(f"decisions changed at {target:.0%}" for target in TARGETS),
)


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(prog="make bench-encoder", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="CHECKPOINT")
    parser.add_argument("--data", type=Path, required=True, metavar="DATA")
    parser.add_argument("--json", type=Path, default=Path("encoder_variants.json"), metavar="FILE")
    parser.add_argument("--rounds", type=int, default=15, help="of each batch size; default: 15")
    arguments = parser.parse_args()
    checkpoint, data = load_checkpoint(arguments.checkpoint), read_data_folder(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        encoders = _encoders(checkpoint, data, Path(folder))
        figures = measure(encoders, _asked(checkpoint, data), rounds=arguments.rounds)
    config = checkpoint.config
    whole = {
        "machine": {**machine(), "cpu_kind": cpu_kind().value},
        "software": software(),
        "base": config.encoder.base,
        "epochs": config.run.epochs,
        "rounds": arguments.rounds,
        "forms": figures,
    }
    write_figures(whole, arguments.json)
    for line in table(TABLE_HEAD, [row_of(name, one) for name, one in figures.items()]):
        say(line)


def measure(
    encoders: Mapping[str, tuple[Encoder, int]], asked: GateTexts, *, rounds: int
) -> dict[str, dict[str, Any]]:
    """Return the figures of each form; the first is fp32, and what the others are compared with.

    Args:
        encoders: each form, opened, with the bytes of its file.
        asked: queries, products, and which are right.
        rounds: how often each batch size is timed.
    """
    plain, _ = encoders[PLAIN]
    expected = Embedded.by(plain, asked)
    seconds = _seconds(encoders, asked.queries, rounds)
    found: dict[str, dict[str, Any]] = {}
    for name, (encoder, size_bytes) in encoders.items():
        vectors = expected if encoder is plain else Embedded.by(encoder, asked)
        found[name] = {
            "size_bytes": size_bytes,
            "milliseconds_a_text": {
                str(size): round(1000 * median(taken) / size, 3)
                for size, taken in seconds[name].items()
            },
            "speed_ratio": {
                str(size): round(_ratio(seconds[PLAIN][size], taken), 3)
                for size, taken in seconds[name].items()
            },
            "at": {
                str(target): asdict(
                    difference(
                        expected,
                        vectors,
                        threshold=gate_threshold(
                            expected, asked.positives, target_precision=target
                        ),
                    )
                )
                for target in TARGETS
            },
        }
    return found


def row_of(name: str, figures: Mapping[str, Any]) -> list[str]:
    """Return one form as a row of the table."""
    at = [figures["at"][str(target)] for target in TARGETS]
    errors = f"{at[0]['median_similarity_error']:.4f}, {at[0]['max_similarity_error']:.4f}"
    changed = [f"{one['changed_decisions']} of {one['queries']}" for one in at]
    ratios = [f"{figures['speed_ratio'][str(size)]:.2f}" for size in BATCHES]
    megabytes = f"{figures['size_bytes'] / 1e6:.0f}"
    return [name, megabytes, *ratios, errors, f"{at[0]['recall_at_10']:.3f}", *changed]


def _encoders(
    checkpoint: Checkpoint, data: DataFolder, folder: Path
) -> dict[str, tuple[Encoder, int]]:
    """Export the checkpoint in every form; ranges come from products and training queries."""
    path = folder / "plain.onnx"
    write_onnx(checkpoint.encoder.model, path)
    tokeniser = checkpoint.encoder.tokeniser
    products = data.products.texts(checkpoint.config.data.product_text)
    trained = [query.text for query in data.split("train")]
    texts = tokeniser([*products[: RANGE_TEXTS // 2], *trained[: RANGE_TEXTS // 2]])
    models = _models(onnx.load(str(path)), checkpoint, texts, tokeniser)
    found: dict[str, tuple[Encoder, int]] = {}
    for name, model in models.items():
        file = folder / "form.onnx"
        onnx.save(model, str(file))
        found[name] = (Encoder(file, tokeniser, workers=1), file.stat().st_size)
    return found


def _models(
    plain: onnx.ModelProto,
    checkpoint: Checkpoint,
    texts: Sequence[TokenisedText],
    tokeniser: TextTokeniser,
) -> dict[str, onnx.ModelProto]:
    config = checkpoint.encoder.model.transformer.config
    heads = int(getattr(config, "num_attention_heads", 0))  # pyright: ignore[reportArgumentType]  # every config has it
    shape = Shape(heads, checkpoint.encoder.dim)
    all_fused = fuse(plain, shape, texts[:8], tokeniser)
    fused = fuse(plain, shape, texts[:8], tokeniser, skip_layer_norm=False)
    say(fused.told)
    ranges = observe(fused.model, texts, tokeniser)
    made = {name: quantise(fused.model, scheme, ranges) for name, scheme in SCHEMES.items()}
    return {
        PLAIN: plain,
        "fp32, fused": fused.model,
        "fp32, fused, residual sums too": all_fused.model,
        **made,
        "fp16 (for CUDA), on this CPU": half_precision(all_fused.model),
    }


def _asked(checkpoint: Checkpoint, data: DataFolder) -> GateTexts:
    tokeniser = checkpoint.encoder.tokeniser
    row_of_product = {one: row for row, one in enumerate(data.products.product_ids())}
    queries = [
        query
        for split in ("validation", "calibration", "test")
        for query in data.split(split)
        if not checkpoint.trained_on(query.text)
    ]
    return GateTexts(
        queries=tokeniser([query.text for query in queries]),
        products=tokeniser(data.products.texts(checkpoint.config.data.product_text)),
        positives=[frozenset(row_of_product[one] for one in q.positives) for q in queries],
    )


def _seconds(
    encoders: Mapping[str, tuple[Encoder, int]], texts: Sequence[TokenisedText], rounds: int
) -> dict[str, dict[int, list[float]]]:
    """Return the CPU seconds of every run, in the order of the rounds, by form and batch size.

    A form whose numbers depend on the batch runs its texts one by one, as the service would.
    """
    taken: dict[str, dict[int, list[float]]] = {n: {b: [] for b in BATCHES} for n in encoders}
    rng = np.random.default_rng(0)
    with progress(rounds * len(BATCHES), "timing", unit="rounds") as shown:
        for turn in range(-1, rounds):  # the first warms up
            for size in BATCHES:
                batch = [texts[row] for row in rng.integers(len(texts), size=size).tolist()]
                for name, (encoder, _) in encoders.items():
                    seconds = _time(encoder, batch)
                    if turn >= 0:
                        taken[name][size].append(seconds)
                shown.advance(1 if turn >= 0 else 0)
    return taken


def _time(encoder: Encoder, batch: Sequence[TokenisedText]) -> float:
    step = min(encoder.max_texts, len(batch))
    started = time.thread_time()
    for row in range(0, len(batch), step):
        encoder.encode_together(batch[row : row + step])
    return time.thread_time() - started


def _ratio(plain: Sequence[float], other: Sequence[float]) -> float:
    return median(one / two for one, two in zip(plain, other, strict=True))


if __name__ == "__main__":
    main()

"""A data folder in milliseconds, and a checkpoint trained on it in a second."""

from pathlib import Path

import torch

from tests.tiny_encoder import write_tiny_encoder
from training.checkpoint import load_checkpoint
from training.config import Config, load_config
from training.data.folders import DataFolder, read_data_folder
from training.data.table_writer import write_table
from training.loop import fit

COLOURS = ("black", "white", "silver", "blue", "red")
KINDS = ("headphones", "camera", "kettle", "drill", "lamp", "router")
SPLIT_OF_OFFER = ("train", "train", "train", "validation", "calibration", "calibration", "test")


def write_data(folder: Path) -> Path:
    """Write 30 products and 210 offers; products of the last colour are unseen in training."""
    products = [
        (f"p-{kind}-{colour}", f"Acme {kind} {colour}", kind, colour)
        for kind in KINDS
        for colour in COLOURS
    ]
    write_table(folder / "products.csv", ("product_id", "title", "category", "colour"), products)
    matches = [
        (
            f"{product_id}-{n}",
            f"{colour} {kind} acme offer {n} {product_id[-3:]}",
            product_id,
            split,
        )
        for product_id, _, kind, colour in products
        for n, split in enumerate(SPLIT_OF_OFFER)
        if not (split == "train" and colour == COLOURS[-1])
    ]
    strangers = [
        (f"unknown-{n}", f"unheard of thing {n}", "", split)
        for n, split in enumerate(("validation", "calibration", "test"))
    ]
    write_table(
        folder / "matches.csv", ("query_id", "text", "product_id", "split"), matches + strangers
    )
    return folder


def read_data(folder: Path) -> DataFolder:
    """Return the data folder that `write_data` writes into ``folder``."""
    return read_data_folder(write_data(folder))


def tiny_config(encoder: Path, *overrides: str) -> Config:
    """Return a recipe of seconds for a tiny encoder."""
    return load_config(
        overrides=[
            f"encoder.base={encoder}",
            "encoder.max_tokens=24",
            "run.epochs=3",
            "run.batch_size=16",
            "run.precision=float32",
            "batches.neighbours=4",
            "optimiser.learning_rate=3e-3",
            "objective.tcm.weight=0",
            "objective.tcm.without_gap=stop",
            "objective.query_label.weight=0",
            "objective.query_batch.weight=0",
            *overrides,
        ]
    )


def write_checkpoint(folder: Path, *overrides: str) -> Path:
    """Train a tiny encoder on the tiny data; return the checkpoint's folder."""
    data = read_data(folder / "data")
    texts = data.products.texts(("title",)) + [query.text for query in data.queries]
    encoder = write_tiny_encoder(folder / "encoder", texts)
    fit(tiny_config(encoder, *overrides), data, folder / "checkpoint")
    return folder / "checkpoint"


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a finished checkpoint."""
    return load_checkpoint(checkpoint).encoder.model.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Return whether two sets of weights are equal bit for bit."""
    return all(torch.equal(one[name], other[name]) for name in one)

"""What each step and epoch of a run does, and how a run that goes wrong ends."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.errors import CheckpointError, DataError
from tests.tiny_data import same, tiny_config, weights
from tests.training.tiny_runs import HEADS, lone_product
from training import step
from training.batches import Batch, Companions, TrainingSet, assemble
from training.checkpoint import STATE
from training.clustering import dealt
from training.data.folders import DataFolder
from training.encoder import load_encoder
from training.loop import fit
from training.run import set_up
from training.run_log import read_log
from training.step import LossError

pytestmark = pytest.mark.usefixtures("without_curves")


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_do(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    out = tmp_path / "checkpoint"
    config = tiny_config(encoder, "optimiser.learning_rate=1e30", "run.checkpoint_every_steps=1")

    with pytest.raises(LossError, match=r"dexml is nan at step .* another folder"):
        fit(config, data, out)

    state = torch.load(out / STATE, weights_only=True)
    assert state["step"] >= 1
    assert state["step"] == len(read_log(out / "log.jsonl"))


def test_weights_beyond_numbers_at_the_end_of_an_epoch_are_an_error_not_figures(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    config = tiny_config(encoder, "optimiser.learning_rate=1e25", "run.batch_size=500")

    with pytest.raises(CheckpointError, match=r"validating: .* not numbers"):
        fit(config, data, tmp_path / "checkpoint")


def test_gradients_are_clipped(tmp_path: Path, data: DataFolder, encoder: Path) -> None:
    """Clipped to far below Adam's epsilon they move nothing."""
    out = tmp_path / "checkpoint"
    still = ("optimiser.max_gradient_norm=1e-15", "optimiser.weight_decay=0", "run.epochs=1")
    fit(tiny_config(encoder, *still), data, out)

    before = load_encoder(str(encoder), max_tokens=24).model.state_dict()
    assert all(torch.allclose(w, before[name], atol=1e-6) for name, w in weights(out).items())


def test_every_step_uses_the_rate_that_the_log_shows(
    tmp_path: Path, data: DataFolder, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "learning_rate_factor", lambda *_: 0.0)
    out = tmp_path / "checkpoint"
    fit(tiny_config(encoder, "run.epochs=1"), data, out)

    assert same(weights(out), load_encoder(str(encoder), max_tokens=24).model.state_dict())


def test_every_epoch_asks_every_query_once(
    tmp_path: Path, data: DataFolder, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []

    def noted(
        training: TrainingSet,
        batch: np.ndarray,
        companions: Companions,
        *,
        seed: int,
        step: int,
    ) -> Batch:
        rows.extend(batch.tolist())
        return assemble(training, batch, companions, seed=seed, step=step)

    monkeypatch.setattr(step, "assemble", noted)
    fit(tiny_config(encoder), data, tmp_path / "checkpoint")

    epochs = [rows[start : start + 72] for start in range(0, len(rows), 72)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(72))] * 3
    shuffled = [dealt(np.arange(72), None, seed=0, epoch=epoch).tolist() for epoch in range(3)]
    asked = 58  # in the first four steps; from the fifth on, at 25 % of the run, neighbours meet
    assert epochs[0][:asked] == shuffled[0][:asked]
    assert epochs[0][asked:] != shuffled[0][asked:]
    assert epochs[2] != shuffled[2]


@pytest.mark.parametrize(("every", "epochs"), [(0, []), (2, [2, 3]), (3, [3])])
def test_validation_comes_every_so_often_and_at_the_end(
    tmp_path: Path, data: DataFolder, encoder: Path, every: int, epochs: list[int]
) -> None:
    out = tmp_path / "checkpoint"
    fit(tiny_config(encoder, f"run.validate_every_epochs={every}"), data, out)

    assert [x["epoch"] for x in read_log(out / "log.jsonl") if "validation" in x] == epochs


def test_one_query_of_one_product_is_trained_without_a_complaint(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    """There is no negative at all, so the loss is zero throughout and no head is asked."""
    out = tmp_path / "checkpoint"
    fit(tiny_config(encoder, *HEADS), lone_product(data), out)

    assert json.loads((out / "checkpoint.json").read_text())["steps"] == 3
    lines = read_log(out / "log.jsonl")
    assert [line["terms"]["dexml"] for line in lines if "terms" in line] == [0.0] * 3
    assert [line["notes"]["query_label_accuracy"] for line in lines if "notes" in line] == [
        None
    ] * 3
    assert "NaN" not in (out / "log.jsonl").read_text()


def test_a_batch_larger_than_the_data_is_one_batch(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    out = tmp_path / "checkpoint"
    fit(tiny_config(encoder, "run.batch_size=5000", "run.epochs=1"), data, out)

    assert json.loads((out / "checkpoint.json").read_text())["steps"] == 1


def test_bfloat16_trains_as_well(tmp_path: Path, data: DataFolder, encoder: Path) -> None:
    out = tmp_path / "checkpoint"
    fit(tiny_config(encoder, "run.precision=bfloat16", "run.epochs=1"), data, out)

    assert all(tensor.dtype is torch.float32 for tensor in weights(out).values())


def test_without_a_training_query_there_is_no_run(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    rest = tuple(query for query in data.queries if query.split != "train")

    with pytest.raises(DataError, match="no training query"):
        fit(tiny_config(encoder), DataFolder(data.path, data.products, rest), tmp_path / "out")


def test_biases_and_norms_do_not_decay(data: DataFolder, encoder: Path) -> None:
    run = set_up(tiny_config(encoder, "optimiser.weight_decay=0.25"), data)

    matrices, rest = run.optimiser.param_groups
    assert (matrices["weight_decay"], rest["weight_decay"]) == (0.25, 0.0)
    assert all(p.ndim == 2 for p in matrices["params"])
    assert {p.ndim for p in rest["params"]} == {1}


@pytest.mark.parametrize(("base", "groups"), [("ngame", 3), ("dexa", 4), ("prime", 4)])
def test_heads_and_vectors_do_not_decay_and_every_weight_is_trained_once(
    data: DataFolder, encoder: Path, base: str, groups: int
) -> None:
    run = set_up(tiny_config(encoder, f"objective.base={base}", *HEADS), data)

    assert len(run.optimiser.param_groups) == groups
    assert all(group["weight_decay"] == 0 for group in run.optimiser.param_groups[1:])
    trained = [id(p) for group in run.optimiser.param_groups for p in group["params"]]
    there = [id(p) for part in (run.encoder.model, run.objective) for p in part.parameters()]
    assert sorted(trained) == sorted(there)


def test_rare_products_weigh_more_where_positives_are_drawn_by_propensity(
    data: DataFolder, encoder: Path
) -> None:
    evenly = set_up(tiny_config(encoder), data)
    run = set_up(tiny_config(encoder, "batches.positives=inverse_propensity"), data)

    assert evenly.positive_weights is None
    assert run.positive_weights is not None
    asked = run.data.queries_of_products()
    assert set(asked.tolist()) == {0, 3}
    assert run.positive_weights[asked == 0].min() > run.positive_weights[asked == 3].max()

import os
import signal
from pathlib import Path

import pytest
import torch

from service.contract.errors import CheckpointError
from tests.tiny_data import read_data, same, tiny_config, weights
from tests.training.tiny_runs import AUTO_MARGINS, lines_without_clock, stop_after
from training import loop
from training.checkpoint import STATE
from training.data.folders import DataFolder
from training.interruption import StoppedError
from training.loop import fit
from training.objective.margins import MarginError
from training.run_log import read_log

pytestmark = pytest.mark.usefixtures("without_curves")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: DataFolder, encoder: Path) -> Path:
    out = tmp_path_factory.mktemp("whole") / "checkpoint"
    fit(tiny_config(encoder), data, out)
    return out


def test_training_lowers_the_loss_and_finds_the_products(whole: Path) -> None:
    log = read_log(whole / "log.jsonl")
    losses = [line["terms"]["dexml"] for line in log if "terms" in line]
    checks = [line["validation"]["precision_at_1"] for line in log if "validation" in line]

    assert losses[-1] < 0.5 * losses[0]
    assert checks[-1] > 0.5
    assert len(checks) == 3


def test_the_log_has_a_line_a_step_with_all_that_people_ask_for(whole: Path) -> None:
    steps = [line for line in read_log(whole / "log.jsonl") if "terms" in line]

    assert [line["step"] for line in steps] == list(range(1, len(steps) + 1))
    assert {"epoch", "terms", "notes", "learning_rate", "queries", "seconds"} <= set(steps[0])
    assert all(0 <= line["loading_seconds"] <= line["seconds"] for line in steps)
    assert (whole / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("steps", [1, 7, 9])
def test_a_resumed_run_gives_the_very_weights_of_an_uninterrupted_one(
    tmp_path: Path,
    data: DataFolder,
    encoder: Path,
    whole: Path,
    steps: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Within the first epoch, within one with neighbours, and at an epoch's end."""
    out = tmp_path / "checkpoint"
    with pytest.raises(StoppedError, match=f"stopped at step {steps} of"):
        fit(tiny_config(encoder), data, out, should_stop=stop_after(steps))

    fit(tiny_config(encoder), data, out)

    assert same(weights(out), weights(whole))
    assert "training: 216/216 queries" in capsys.readouterr().err
    assert lines_without_clock(out) == lines_without_clock(whole)
    assert not (out / STATE).exists()


def test_another_seed_gives_other_weights(
    tmp_path: Path, data: DataFolder, encoder: Path, whole: Path
) -> None:
    out = tmp_path / "checkpoint"
    fit(tiny_config(encoder, "run.seed=1"), data, out)

    assert not same(weights(out), weights(whole))


def test_a_finished_run_is_left_as_it_is(
    data: DataFolder, encoder: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}

    fit(tiny_config(encoder), data, whole)

    assert "finished; nothing to do" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir()} == before


def test_other_settings_do_not_go_on_with_a_run(
    data: DataFolder, encoder: Path, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="other settings"):
        fit(tiny_config(encoder, "run.epochs=4"), data, whole)
    out = tmp_path / "unfinished"
    with pytest.raises(StoppedError):
        fit(tiny_config(encoder), data, out, should_stop=stop_after(2))
    with pytest.raises(CheckpointError, match="other settings"):
        fit(tiny_config(encoder, "run.seed=9"), data, out)


def test_other_data_do_not_go_on_with_a_run(encoder: Path, whole: Path, tmp_path: Path) -> None:
    other = read_data(tmp_path / "other")
    fewer = DataFolder(other.path, other.products, other.queries[:-1])
    name, product = other.queries[0].query_id, other.products.items[-1].product_id
    filtered = DataFolder(other.path, other.products, other.queries, {name: frozenset({product})})

    for changed in (fewer, filtered):
        with pytest.raises(CheckpointError, match="other data"):
            fit(tiny_config(encoder), changed, whole)


def test_a_folder_of_other_files_is_not_touched(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(CheckpointError, match="name another folder"):
        fit(tiny_config(encoder), data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_signal_stops_between_two_steps_and_the_run_goes_on_later(
    tmp_path: Path, data: DataFolder, encoder: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, steps = loop._one_step, iter(range(1, 100))  # pyright: ignore[reportPrivateUsage]

    def step_and_signal(*arguments: object) -> None:
        real(*arguments)  # pyright: ignore[reportArgumentType]
        if next(steps) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop, "_one_step", step_and_signal)
    out = tmp_path / "checkpoint"

    with pytest.raises(StoppedError, match="stopped at step 4"):
        fit(tiny_config(encoder), data, out)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    fit(tiny_config(encoder), data, out)

    assert same(weights(out), weights(whole))


def test_a_stop_at_the_very_last_step_finishes_the_run(
    tmp_path: Path, data: DataFolder, encoder: Path, whole: Path
) -> None:
    out = tmp_path / "checkpoint"
    fit(tiny_config(encoder), data, out, should_stop=stop_after(15))

    assert same(weights(out), weights(whole))


def test_a_run_that_goes_on_with_another_format_says_so(
    tmp_path: Path, data: DataFolder, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "checkpoint"
    with pytest.raises(StoppedError):
        fit(tiny_config(encoder), data, out, should_stop=stop_after(1))
    state = torch.load(out / STATE, weights_only=True)
    torch.save(state | {"machine": "cuda, float16"}, out / STATE)

    fit(tiny_config(encoder), data, out)

    assert "note: the run began on cuda, float16" in capsys.readouterr().err


def test_a_damaged_state_is_named(tmp_path: Path, data: DataFolder, encoder: Path) -> None:
    out = tmp_path / "checkpoint"
    with pytest.raises(StoppedError):
        fit(tiny_config(encoder), data, out, should_stop=stop_after(1))
    content = (out / STATE).read_bytes()
    (out / STATE).write_bytes(content[: len(content) // 2])

    with pytest.raises(CheckpointError, match=r"state\.pt is damaged"):
        fit(tiny_config(encoder), data, out)


def test_the_margin_is_an_option_that_shows_in_the_log(
    tmp_path: Path, data: DataFolder, encoder: Path, whole: Path
) -> None:
    out = tmp_path / "checkpoint"
    fit(tiny_config(encoder, *AUTO_MARGINS), data, out)

    steps = [line for line in read_log(out / "log.jsonl") if "terms" in line]
    acts = [line["step"] for line in steps if "tcm" in line["terms"]]
    assert acts == list(range(6, 16))  # from 30 % of 15 steps on
    margins = {
        (line["notes"]["positive_margin"], line["notes"]["negative_margin"]) for line in steps[5:]
    }
    assert len(margins) == 1
    assert not same(weights(out), weights(whole))


def test_margins_without_a_gap_stop_the_run_with_both_numbers(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    swapped = ("objective.tcm.positive_percentile=1", "objective.tcm.negative_percentile=100")
    out = tmp_path / "checkpoint"

    with pytest.raises(MarginError, match=r"positive_margin 0\.\d+ .* and negative_margin 0\.\d+ "):
        fit(tiny_config(encoder, *AUTO_MARGINS, *swapped), data, out)
    assert torch.load(out / STATE, weights_only=True)["step"] == 5


def test_margins_without_a_gap_are_left_out_with_one_note_where_the_run_is_to_go_on(
    tmp_path: Path, data: DataFolder, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = ("objective.tcm.positive_percentile=1", "objective.tcm.negative_percentile=100")
    out = tmp_path / "checkpoint"
    going_on = "objective.tcm.without_gap=leave_out"
    fit(tiny_config(encoder, *AUTO_MARGINS, *swapped, going_on), data, out)

    steps = [line for line in read_log(out / "log.jsonl") if "terms" in line]
    assert len(steps) == 15
    assert all(list(line["terms"]) == ["dexml"] for line in steps)
    assert capsys.readouterr().err.count("note: TCM is left out of this run") == 1

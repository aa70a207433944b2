import tomllib
from pathlib import Path

import pytest

from service.contract.errors import ConfigError
from training.config import RECOMMENDED, load_config


def test_without_a_file_the_recommended_recipe_is_taken() -> None:
    written = tomllib.loads(RECOMMENDED.read_text())

    assert tomllib.loads(load_config().to_toml()) == written


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[run]\nepochs = 7\n[objective.tcm]\nweight = 0.5\n")

    config = load_config(path)

    assert (config.run.epochs, config.objective.tcm.weight) == (7, 0.5)
    assert config.optimiser == load_config().optimiser
    assert config.objective.tcm.negative_margin == load_config().objective.tcm.negative_margin


def test_an_override_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[run]\nepochs = 7\n")

    config = load_config(path, ["run.epochs=8", "encoder.base=some/encoder"])

    assert config.run.epochs == 8
    assert config.encoder.base == "some/encoder"


def test_a_list_can_be_overridden() -> None:
    config = load_config(overrides=['data.product_text=["title", "brand"]'])

    assert config.data.product_text == ("title", "brand")


def test_the_saved_copy_reads_back_equal(tmp_path: Path) -> None:
    config = load_config(overrides=["run.seed=3", "optimiser.learning_rate=1e-5"])
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml())

    assert load_config(path) == config
    assert load_config(path).digest() == config.digest()
    assert config.digest() != load_config().digest()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("run.epoch=3", "run.epoch: Extra inputs"),
        ("rum.epochs=3", "rum: Extra inputs"),
        ("run.epochs=0", "run.epochs: .* greater than or equal to 1 \\(found 0\\)"),
        ("run.epochs=many", "run.epochs: .*valid integer.*'many'"),
        ("run.batch_size=1", "run.batch_size"),
        ("objective.base=triplet", "objective.base: .*decoupled_softmax"),
        ("objective.temperature=0", "objective.temperature"),
        ("objective.temperature=nan", "objective.temperature"),
        ("objective.tcm.negative_margin=0.95", "must be below positive_margin"),
        ("optimiser.learning_rate=-1", "optimiser.learning_rate"),
        ("run.precision=int8", "run.precision"),
        ("encoder.max_tokens=3", "encoder.max_tokens"),
        ("run.epochs", "not section.key=value"),
        ("=3", "not section.key=value"),
        ("run..epochs=3", "not section.key=value"),
    ],
)
def test_a_wrong_setting_is_named(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(overrides=[override])


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    torn = tmp_path / "torn.toml"
    torn.write_text("[run\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(torn)


def test_every_committed_recipe_loads() -> None:
    recipes = sorted(RECOMMENDED.parent.glob("*.toml"))

    assert len(recipes) >= 2
    for recipe in recipes:
        load_config(recipe)

import tomllib
from pathlib import Path

import pytest

from service.contract.errors import ConfigError
from training.config import RECOMMENDED, load_config, parse_config
from training.study.plan import load_study


def test_without_a_file_the_recommended_recipe_is_taken() -> None:
    written = tomllib.loads(RECOMMENDED.read_text())
    for section, key in (("encoder", "layers"), ("encoder", "keep_layers")):  # off: left out
        del written[section][key]
    del written["distillation"], written["matryoshka"]

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
        ("objective.base=triplet", "objective.base: .*'dexml', 'ngame', 'dexa' or 'prime'"),
        ("objective.temperature=0", "objective.temperature"),
        ("objective.temperature=nan", "objective.temperature"),
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


@pytest.mark.parametrize(
    ("positive", "negative"), [("0.5", "0.5"), ("0.4", "0.6"), ("-0.2", "0.1")]
)
def test_given_margins_the_wrong_way_round_are_named(positive: str, negative: str) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"negative_margin {negative} must be below positive_margin {positive}",
    ):
        load_config(overrides=margins(positive, negative))


@pytest.mark.parametrize(
    ("positive", "negative"), [("auto", "0.99"), ("-0.9", "auto"), ("auto", "auto"), ("1", "-1")]
)
def test_an_auto_margin_may_stand_beside_any_other(positive: str, negative: str) -> None:
    tcm = load_config(overrides=margins(positive, negative)).objective.tcm

    assert (str(tcm.positive_margin), str(tcm.negative_margin)) == tuple(
        side if side == "auto" else str(float(side)) for side in (positive, negative)
    )


@pytest.mark.parametrize(("positive", "negative"), [("auto", "0.5"), ("0.9", "auto")])
def test_an_auto_margin_needs_steps_before_it_acts(positive: str, negative: str) -> None:
    at_once = [*margins(positive, negative), "objective.tcm.start_ratio=0"]

    with pytest.raises(ConfigError, match="taken from the steps before start_ratio, which is 0"):
        load_config(overrides=[*at_once, "objective.tcm.weight=1"])
    assert load_config(overrides=[*at_once, "objective.tcm.weight=0"]).objective.tcm.weight == 0


def test_given_margins_may_act_from_the_first_step() -> None:
    at_once = ["objective.tcm.weight=1", "objective.tcm.start_ratio=0"]

    assert load_config(overrides=[*margins("0.9", "0.5"), *at_once]).objective.tcm.weight == 1


@pytest.mark.parametrize(("margin", "least"), [(0.05, 0.1), (0.3, 0.31)])
def test_a_least_margin_above_the_margin_is_named(margin: float, least: float) -> None:
    changes = [f"objective.triplet.margin={margin}", f"objective.triplet.least_margin={least}"]

    with pytest.raises(ConfigError, match=f"least_margin {least} must not exceed margin {margin}"):
        load_config(overrides=changes)


def test_a_least_margin_may_equal_the_margin() -> None:
    changes = ["objective.triplet.margin=0.2", "objective.triplet.least_margin=0.2"]

    assert load_config(overrides=changes).objective.triplet.least_margin == 0.2


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    torn = tmp_path / "torn.toml"
    torn.write_text("[run\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(torn)


RECIPES = [
    *sorted(RECOMMENDED.parent.glob("*.toml")),
    *sorted(RECOMMENDED.parent.glob("xmc-131k/*.toml")),
]
PLANS = sorted(RECOMMENDED.parent.glob("studies/*.toml"))


@pytest.mark.parametrize(
    "recipe", RECIPES, ids=lambda recipe: f"{recipe.parent.name}/{recipe.stem}"
)
def test_every_committed_recipe_loads(recipe: Path) -> None:
    config = load_config(recipe)

    assert parse_config(tomllib.loads(config.to_toml()), source="its copy") == config


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.stem)
def test_every_committed_plan_of_a_study_loads(plan: Path) -> None:
    assert len(load_study(plan).runs) >= 2


def test_there_is_a_recipe_for_each_base_on_the_public_data() -> None:
    bases = {load_config(r).objective.base for r in RECIPES if r.parent.name == "xmc-131k"}

    assert bases == {"dexml", "ngame", "dexa", "prime"}
    assert RECOMMENDED in RECIPES
    assert PLANS


def test_a_settings_file_must_be_whole_where_nothing_is_laid_under_it() -> None:
    fields = tomllib.loads(RECOMMENDED.read_text())
    del fields["objective"]["heads"]["hidden"]

    with pytest.raises(ConfigError, match=r"mine: objective\.heads\.hidden: Field required"):
        parse_config(fields, source="mine")


def margins(positive: str, negative: str) -> list[str]:
    return [
        f"objective.tcm.positive_margin={positive}",
        f"objective.tcm.negative_margin={negative}",
    ]

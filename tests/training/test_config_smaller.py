import tomllib

import pytest

from service.contract.errors import ConfigError
from training.config import RECOMMENDED, Config, load_config, parse_config

DIGEST = "b5f5efe91a29ede18ab548ebac4bad263ca372f07a6986553c83940553e70f3c"
"""Of the recommended recipe, as the releases without these settings computed it."""


def test_what_is_off_leaves_the_digest_of_older_recipes_as_it_was() -> None:
    assert load_config().digest() == DIGEST


@pytest.mark.parametrize(
    "off",
    [
        "encoder.keep_layers=first",
        "distillation.weight=7.0",
        "distillation.form=embedding",
    ],
)
def test_a_setting_of_what_is_off_changes_nothing(off: str) -> None:
    assert load_config(overrides=[off]).digest() == DIGEST


@pytest.mark.parametrize(
    ("on", "kept"),
    [
        ("encoder.layers=3", {"keep_layers": "spread", "layers": 3}),
        ("matryoshka.dims=[64, 128]", {"dims": [64, 128], "weights": []}),
        ("distillation.teacher=somewhere", {"teacher": "somewhere", "weight": 1.0}),
    ],
)
def test_what_is_on_is_in_the_saved_copy_and_in_the_digest(
    on: str, kept: dict[str, object]
) -> None:
    config = load_config(overrides=[on])

    saved = tomllib.loads(config.to_toml())
    assert kept.items() <= saved[on.partition(".")[0]].items()
    assert parse_config(saved, source="its copy") == config
    assert config.digest() != DIGEST


def test_a_copy_of_before_these_settings_reads_as_one_with_all_of_them_off() -> None:
    saved = tomllib.loads(load_config().to_toml())

    assert not {"distillation", "matryoshka"} & set(saved)
    assert not {"layers", "keep_layers"} & set(saved["encoder"])
    assert Config.model_validate(saved) == load_config()


def test_the_recipe_names_every_one_of_these_settings() -> None:
    written = tomllib.loads(RECOMMENDED.read_text())
    config = load_config()

    for section in ("distillation", "matryoshka"):
        assert set(written[section]) == set(type(getattr(config, section)).model_fields)
    assert {"layers", "keep_layers"} <= set(written["encoder"])


def test_a_prefix_weighs_as_much_as_the_whole_unless_told_otherwise() -> None:
    plain = load_config(overrides=["matryoshka.dims=[64, 128]"]).matryoshka
    told = load_config(overrides=["matryoshka.dims=[64, 128]", "matryoshka.weights=[0.5, 2]"])

    assert plain.weighted() == [(64, 1.0), (128, 1.0)]
    assert told.matryoshka.weighted() == [(64, 0.5), (128, 2.0)]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("encoder.layers=0", r'encoder\.layers: .*"all" or a number .* from 1 on \(found 0\)'),
        ("encoder.layers=-1", r"encoder\.layers: .*from 1 on"),
        ("encoder.layers=2.5", r"encoder\.layers: .*from 1 on"),
        ("encoder.layers=true", r"encoder\.layers: .*from 1 on"),
        ("encoder.layers=some", r"encoder\.layers: .*from 1 on"),
        ("encoder.keep_layers=last", r"encoder\.keep_layers: .*'spread' or 'first'"),
        ("matryoshka.dims=[64, 64]", r"matryoshka: .*dims \[64, 64\] must increase"),
        ("matryoshka.dims=[128, 64]", r"matryoshka: .*dims \[128, 64\] must increase"),
        ("matryoshka.dims=[0, 64]", r"matryoshka\.dims\.0: .*greater than or equal to 1"),
        ("matryoshka.weights=[1.0]", r"weights has 1 numbers, dims has 0"),
        ("distillation.weight=0", r"distillation\.weight: .*greater than 0"),
        ("distillation.temperature=0", r"distillation\.temperature"),
        ("distillation.alone_ratio=1.5", r"distillation\.alone_ratio"),
        ("distillation.cache_mb=-1", r"distillation\.cache_mb"),
        ("distillation.form=both", r"distillation\.form"),
        ("distillation.pupil=x", r"distillation\.pupil: Extra inputs"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as found:
        load_config(overrides=[override])
    assert "\n" not in str(found.value)

from pathlib import Path

import pytest

from service.contract.errors import ConfigError, UsageError
from tests.training.study.made_up import STUDY, write_study
from training.comparison import BASELINES
from training.config import RECOMMENDED, load_config
from training.study.plan import load_study


def test_a_run_is_the_recommended_recipe_with_common_base_variant_and_seed(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path))

    assert [run.name for run in study.runs] == [
        "soft-none-0",
        "soft-tcm-0",
        "soft-none-1",
        "soft-tcm-1",
    ]
    assert study.runs[3].config == load_config(
        overrides=[
            "run.epochs=2",
            "objective.temperature=0.1",
            "objective.tcm.weight=1.0",
            "objective.tcm.positive_margin=0.8",
            "objective.tcm.negative_margin=0.3",
            "run.seed=1",
        ]
    )
    assert study.baseline_config == load_config(overrides=["run.epochs=2"])


def test_lists_and_texts_of_a_table_arrive_as_they_are(tmp_path: Path) -> None:
    text = STUDY + '[common.data]\nproduct_text = ["title", "brand"]\n'
    text += "[common.encoder]\nbase = 'C:\\model \"x\" = 1'\n"

    [run, *_] = load_study(write_study(tmp_path, text)).runs

    assert run.config.data.product_text == ("title", "brand")
    assert run.config.encoder.base == 'C:\\model "x" = 1'


def test_an_override_changes_every_run_last_or_the_study(tmp_path: Path) -> None:
    study = load_study(
        write_study(tmp_path), ["study.seeds=[7]", "objective.tcm.weight=0.5", "run.device=cpu"]
    )

    assert [run.name for run in study.runs] == ["soft-none-7", "soft-tcm-7"]
    assert {run.config.objective.tcm.weight for run in study.runs} == {0.5}
    assert study.baseline_config.run.device == "cpu"


@pytest.mark.parametrize(
    ("found", "instead", "said"),
    [
        ('variants = ["none", "tcm"]', 'variants = ["alc"]', r'variant "alc" has no table'),
        ('bases = ["soft"]', 'bases = ["hard"]', r'add \[base\."hard"\]'),
        ('bases = ["soft"]', 'bases = ["soft", "soft"]', "two pairs of base and variant are the"),
        ("seeds = [0, 1]", "seeds = [1, 1]", "two seeds are the same"),
        ("seeds = [0, 1]", "seeds = []", "study.seeds"),
        ('bases = ["soft"]', 'bases = ["../soft"]', "study.bases.0"),
        ('baselines = ["bm25"]', 'baselines = ["bm52"]', "study.baselines.0"),
        ("confidence = 0.95", "confidence = 1.0", "study.confidence"),
        ("confidence = 0.95", "", "study.confidence: Field required"),
        ("confidence = 0.95", "confidence = 0.95\njobs = 2", "study.jobs: Extra inputs"),
        ("[common.run]", "[commons.run]", "commons: Extra inputs"),
        ("epochs = 2", "epochs = 0", 'base "soft" with variant "none".*run.epochs'),
        ("epochs = 2", "epoch = 2", "run.epoch: Extra inputs"),
        ("epochs = 2", "seed = 2", "run.seed is what study.seeds says"),
        ("[study]", "[study", "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    found: str, instead: str, said: str, tmp_path: Path
) -> None:
    path = write_study(tmp_path, STUDY.replace(found, instead))

    with pytest.raises(ConfigError, match=said):
        load_study(path)


def test_a_file_that_is_not_there_and_an_override_that_is_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(tmp_path / "none.toml")
    with pytest.raises(UsageError, match=r"study\.seeds"):
        load_study(write_study(tmp_path), ["study.seeds=[1"])
    with pytest.raises(UsageError, match=r"section\.key=value"):
        load_study(write_study(tmp_path), ["epochs"])


@pytest.mark.parametrize(
    "path", sorted((RECOMMENDED.parent / "studies").glob("*.toml")), ids=lambda p: p.stem
)
def test_a_published_study_names_recipes_that_differ(path: Path) -> None:
    study = load_study(path)

    assert len({run.config.digest() for run in study.runs}) == len(study.runs)
    assert set(study.section.baselines) == set(BASELINES)

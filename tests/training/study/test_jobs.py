import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.study.made_up import SLOT, FakeRunner, write_study
from training.config import load_config
from training.study.jobs import FIGURES, Job, RunFailedError, StudyData, jobs_of
from training.study.plan import load_study

FIT, JUDGE = "training fit", "training.study.judging"


def jobs(folder: Path, *overrides: str, data: str = "abc") -> list[Job]:
    study = load_study(write_study(folder), overrides)
    return jobs_of(study, StudyData(folder / "data", data, ["title=name"]), folder / "out")


def first_run(folder: Path, *overrides: str, data: str = "abc") -> Job:
    return next(job for job in jobs(folder, *overrides, data=data) if job.trains)


def test_a_study_is_its_baselines_and_its_runs(tmp_path: Path) -> None:
    names = [(job.name, job.folder.relative_to(tmp_path).as_posix()) for job in jobs(tmp_path)]

    assert names[:2] == [("bm25", "out/baselines/bm25"), ("soft-none-0", "out/runs/soft-none-0")]
    assert len(names) == 5


def test_a_run_is_trained_then_judged_with_its_own_settings(tmp_path: Path) -> None:
    job, children = first_run(tmp_path), FakeRunner()

    figures = job.carry_out(children, SLOT)

    assert children.modules() == [FIT, JUDGE]
    assert all(
        words[words.index("--map") :][:2] == ["--map", "title=name"] for words in children.asked
    )
    assert load_config(job.folder / "config.toml") == job.config
    assert (figures["base"], figures["variant"], figures["seed"]) == ("soft", "none", 0)
    assert (figures["training_seconds"], figures["peak_memory_mb"]) == (10.0, 200.0)
    assert figures["machine"]["torch"] == "2.13.0"
    assert job.finished_figures() == figures


def test_a_baseline_is_judged_only(tmp_path: Path) -> None:
    children = FakeRunner()

    figures = jobs(tmp_path)[0].carry_out(children, SLOT)

    assert children.modules() == [JUDGE]
    assert "training_seconds" not in figures


def test_figures_of_other_settings_data_or_promise_do_not_count(tmp_path: Path) -> None:
    first_run(tmp_path).carry_out(FakeRunner(), SLOT)

    assert first_run(tmp_path).finished_figures() is not None
    assert first_run(tmp_path, "run.epochs=3").finished_figures() is None
    assert first_run(tmp_path, data="other").finished_figures() is None
    assert first_run(tmp_path, "study.confidence=0.9").finished_figures() is None


def test_another_promise_needs_another_judgement_and_no_training(tmp_path: Path) -> None:
    first_run(tmp_path).carry_out(FakeRunner(), SLOT)
    children = FakeRunner()

    first_run(tmp_path, "study.target_precision=0.9").carry_out(children, SLOT)

    assert children.modules() == [JUDGE]
    [words] = children.asked
    assert words[words.index("--target-precision") + 1] == "0.9"


def test_a_run_of_other_settings_is_kept_aside(tmp_path: Path) -> None:
    for epochs in (2, 3, 4):
        children = FakeRunner()
        first_run(tmp_path, f"run.epochs={epochs}").carry_out(children, SLOT)
        assert children.modules() == [FIT, JUDGE]

    replaced = sorted((tmp_path / "out" / "replaced").iterdir())
    epochs_of = [load_config(folder / "config.toml").run.epochs for folder in replaced]
    assert epochs_of == [2, 3]


def test_a_training_that_failed_goes_on_and_its_time_adds_up(tmp_path: Path) -> None:
    job = first_run(tmp_path)
    with pytest.raises(RunFailedError, match=r"^no such encoder; name another$"):
        job.carry_out(FakeRunner(fails=lambda words: words[1] == "fit"), SLOT)
    assert job.finished_figures() is None
    children = FakeRunner()

    figures = job.carry_out(children, SLOT)

    assert children.modules() == [FIT, JUDGE]
    assert (figures["training_seconds"], figures["peak_memory_mb"]) == (11.0, 200.0)


def test_a_judgement_that_failed_is_made_again_without_training(tmp_path: Path) -> None:
    job = first_run(tmp_path)
    with pytest.raises(RunFailedError):
        job.carry_out(FakeRunner(fails=lambda words: words[0] == JUDGE), SLOT)
    children = FakeRunner()

    job.carry_out(children, SLOT)

    assert children.modules() == [JUDGE]


def test_torn_figures_are_none(tmp_path: Path) -> None:
    job = first_run(tmp_path)
    job.carry_out(FakeRunner(), SLOT)
    (job.folder / FIGURES).write_text("{")

    assert job.finished_figures() is None


def test_a_folder_of_another_job_is_not_gone_on_with(tmp_path: Path) -> None:
    first, second = [job for job in jobs(tmp_path) if job.trains][:2]
    first.carry_out(FakeRunner(), SLOT)

    moved = replace(second, folder=first.folder)

    assert moved.finished_figures() is None
    assert json.loads((first.folder / FIGURES).read_bytes())["origin"] == first.origin

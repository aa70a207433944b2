import json
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import index_families
from tests.clustered import clustered_units


def test_a_small_run_writes_curves_goals_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "vectors.npy", clustered_units(700, 16))
    words = ["--products", "600", "--queries", "20", "--recall", "0.9", "--peers"]
    files = ["--vectors", "vectors.npy", "--json", "out.json", "--plot", "out.png"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["index_families", *words, *files])

    index_families.main()

    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["products"], figures["queries"]) == (600, 20)
    assert set(figures["curves"]) == {"FAISS Flat", "ours: ivfpq", "ours: ivf", "ours: hnsw"}
    assert figures["curves"]["FAISS Flat"]["points"][0]["recall"] == 1.0
    best = {
        name: max(point["recall"] for point in curve["points"])
        for name, curve in figures["curves"].items()
    }
    assert min(best.values()) >= 0.9
    assert figures["goals"]["exact index / ours"] > 0
    assert (tmp_path / "out.png").stat().st_size > 1000
    assert "ms at recall 0.9" in capsys.readouterr().out


def test_goals_compare_our_fastest_with_the_exact_index_and_the_fastest_peer() -> None:
    reached = {
        "FAISS Flat": 10.0,
        "ours: ivf": 2.0,
        "ours: hnsw": None,
        "hnswlib": 4.0,
        "usearch": None,
    }

    assert index_families._goals(reached) == {  # pyright: ignore[reportPrivateUsage]
        "exact index / ours": 5.0,
        "ours / best of hnswlib and usearch": 0.5,
    }


def test_what_a_faster_point_finds_as_well_is_not_drawn() -> None:
    def point(ms: float, recall: float) -> dict[str, float]:
        return {"ms": ms, "recall": recall}

    points = [point(3.0, 0.9), point(1.0, 0.8), point(2.0, 0.9), point(1.5, 0.7), point(4.0, 1.0)]

    assert index_families.unbeaten(points) == [point(1.0, 0.8), point(2.0, 0.9), point(4.0, 1.0)]

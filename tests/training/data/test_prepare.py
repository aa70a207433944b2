import argparse
import json
from pathlib import Path

import pytest

from service.contract.errors import ConfigError, DataError
from tests.training.data.labelled import write
from training.data.column_map import ColumnMap
from training.data.folders import read_data_folder
from training.data.prepare import OPTIONS_OF, SOURCES, add_arguments, prepare, run


def arguments(*written: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(written)


def shop(path: Path) -> Path:
    """Write a shop's own files: 40 offers of 8 products, under other names of the columns."""
    products = [f"{i},Halvor X{i}" for i in range(8)]
    offers = [
        f'{{"id": "o-{i}", "offer": "halvor x{i % 8} no {i}", "sku": {i % 8}}}' for i in range(40)
    ]
    write(path / "products.tsv", *(line.replace(",", "\t") for line in ["sku,name", *products]))
    write(path / "matches.jsonl", *offers)
    return path


SHOP_MAP = ("product_id=sku", "title=name", "query_id=id", "text=offer")


def test_a_data_folder_opens_and_its_record_tells_how_it_was_made(tmp_path: Path) -> None:
    prepared = prepare("synthetic", None, tmp_path / "data", seed=4, products=30)

    data = read_data_folder(tmp_path / "data")
    written = (tmp_path / "data" / "prepared.json").read_bytes()
    record = json.loads(written)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "matches.csv",
        "prepared.json",
        "products.csv",
    ]
    assert len(data.products) == prepared.products == 30
    assert written == prepared.to_bytes()
    assert record["digest"] == data.digest()
    assert record["kind"] == "synthetic"
    assert record["seed"] == 4
    assert record["dealt"]["unseen_share"] == 0.15
    assert record["published_splits"] is False
    assert record["splits"]["train"]["queries"] == len(data.split("train"))


def test_own_files_of_any_kind_are_dealt(tmp_path: Path) -> None:
    column_map = ColumnMap.parse(SHOP_MAP)

    prepared = prepare("folder", shop(tmp_path / "shop"), tmp_path / "data", column_map=column_map)

    assert sum(counts.queries for counts in prepared.splits.values()) == 40
    assert prepared.splits["train"].queries > 10
    assert read_data_folder(tmp_path / "data").trained_products()


def test_splits_that_are_there_are_kept(tmp_path: Path) -> None:
    first = prepare("synthetic", None, tmp_path / "a", products=20)

    second = prepare("folder", tmp_path / "a", tmp_path / "b", seed=9)

    assert second.dealt is None
    assert second.digest == first.digest
    assert second.splits == first.splits


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        prepare("synthetic", None, tmp_path / name, seed=seed, products=20)

    first, again, other = ((tmp_path / name / "matches.csv").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "data" / "notes.txt", "mine")

    with pytest.raises(ConfigError, match="already holds something; name another folder"):
        prepare("synthetic", None, tmp_path / "data", products=5)
    with pytest.raises(ConfigError, match="already holds something; name another folder"):
        prepare("synthetic", None, path, products=5)

    assert path.read_text() == "mine\n"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    prepare("synthetic", None, tmp_path / "data", products=5)

    assert (tmp_path / "data" / "products.csv").exists()


def test_after_a_failure_nothing_is_left(tmp_path: Path) -> None:
    source = shop(tmp_path / "shop")

    with pytest.raises(DataError, match="has no column 'product_id'"):
        prepare("folder", source, tmp_path / "out" / "data")

    assert list((tmp_path / "out").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "file", "")

    with pytest.raises(ConfigError, match=r"cannot be written .* name another folder with --out"):
        prepare("synthetic", None, path / "data", products=5)


def test_an_unknown_kind_is_refused_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="'shopify', only folder, pricerunner, synthetic, xmc"):
        prepare("shopify", None, tmp_path / "data")
    with pytest.raises(SystemExit) as caught:
        arguments("--from", "shopify", "--out", "data")

    assert caught.value.code == 2
    assert "'folder', 'pricerunner', 'synthetic', 'xmc'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["--from", "synthetic", "--source", "x"], "--source means nothing for --from synthetic"),
        (["--from", "folder", "--products", "9"], "--products means nothing for --from folder"),
        (["--from", "folder", "--categories", "a, b"], "--categories means nothing for"),
        (["--from", "synthetic", "--map", "title=a"], "--map means nothing for --from synthetic"),
        (
            ["--from", "folder", "--held-out-share", "0"],
            "--held-out-share means nothing for --from folder",
        ),
        (["--from", "xmc", "--map", "title=a"], "--map means nothing for --from xmc"),
        (
            ["--from", "xmc", "--source", "x", "--held-out-share", "1"],
            "the held-out share is 1.0; name one from 0 to below 1",
        ),
        (["--from", "synthetic", "--unseen-share", "1"], "the share of unseen products is 1.0"),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    tmp_path: Path, written: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(arguments(*written, "--out", str(tmp_path / "data")))

    assert not (tmp_path / "data").exists()


def test_every_kind_of_source_says_which_options_it_has() -> None:
    assert SOURCES.keys() == OPTIONS_OF.keys()


def test_the_command_says_what_it_wrote_and_writes_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out, figures = shop(tmp_path / "shop"), tmp_path / "data", tmp_path / "figures.json"
    maps = [word for written in SHOP_MAP for word in ("--map", written)]

    run(
        arguments(
            *("--from", "folder", "--source", str(source), "--out", str(out)),
            *("--json", str(figures), *maps),
        )
    )

    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("| split ")
    assert "products: 8" in said
    assert said[-1] == f"written to {out}"
    assert json.loads(figures.read_text())["products"] == 8


def test_filter_pairs_of_queries_that_are_merged_away_go_with_them(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source / "products.csv", "product_id,title", "p-1,Sony", "p-2,Bose")
    rows = [f"q-{number},one text,p-1" for number in range(4)]
    write(source / "matches.csv", "query_id,text,product_id", *rows)
    pairs = [f"q-{number},p-2" for number in range(4)]
    write(source / "filter.csv", "query_id,product_id", *pairs)

    prepare("folder", source, tmp_path / "data")

    data = read_data_folder(tmp_path / "data")
    assert len(data.queries) == 1
    assert data.filtered == {data.queries[0].query_id: {"p-2"}}

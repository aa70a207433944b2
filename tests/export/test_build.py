import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from export import build, product_index
from export.build import Promise, build_bundle
from export.operating_point import labelled_sets
from export.vector_file import NOTES, VECTORS
from export.work_folder import work_beside
from service.contract.decision import Decision
from service.contract.errors import BundleError, ConfigError
from service.contract.manifest import CatalogueRecord
from service.opening import open_recommender
from tests.full_disk import no_room
from training.checkpoint import Checkpoint
from training.data.folders import DataFolder
from training.data.products import Product, Products
from training.product_vectors import product_vectors


def test_the_bundle_opens_with_golden_examples_and_all_it_promises(bundle: Path) -> None:
    recommender, manifest = open_recommender(bundle)

    assert manifest.catalogue.products == 30
    assert manifest.encoder.parity_max_error < 1e-4
    assert manifest.training.epochs == 3
    assert (bundle / "golden.jsonl").read_text().count("\n") >= 16
    assert recommender.threshold == manifest.threshold


def test_the_promise_counts_what_the_service_decides(bundle: Path, data: DataFolder) -> None:
    """The numbers in the manifest are recounted from the answers of the opened bundle."""
    recommender, manifest = open_recommender(bundle)
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    answers = recommender.recommend([query.text for query in sets.calibration], k=1)

    accepted = [
        (query, answer)
        for query, answer in zip(sets.calibration, answers, strict=True)
        if answer.decision is Decision.AUTO_ACCEPTED
    ]
    wrong = sum(a.recommendations[0].product_id not in q.positives for q, a in accepted)
    point = manifest.operating_point
    assert point is not None
    assert (point.queries, point.accepted, point.wrong) == (
        len(sets.calibration),
        len(accepted),
        wrong,
    )


def test_the_catalogue_keeps_attributes_and_says_what_was_seen(bundle: Path) -> None:
    table = pq.read_table(bundle / "products.parquet").to_pylist()
    by_id = {row["product_id"]: row for row in table}

    assert by_id["p-lamp-red"]["colour"] == "red"
    assert by_id["p-lamp-red"]["category"] == "lamp"
    assert not by_id["p-lamp-red"]["seen_in_training"]
    assert by_id["p-lamp-blue"]["seen_in_training"]


def test_products_of_one_text_are_twins_with_the_very_same_similarity(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder
) -> None:
    twin = Product("p-twin", " ACME  lamp   blue", None, {})
    products = Products((*data.products.items, twin), data.products.attribute_names)
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    build_bundle(checkpoint, products, sets, tmp_path / "b", promise=Promise(0.8, 0.95))

    recommender, _ = open_recommender(tmp_path / "b")
    [answer] = recommender.recommend(["blue lamp acme"], k=5)

    best = [r.product_id for r in answer.recommendations[:2]]
    assert best == ["p-lamp-blue", "p-twin"]
    assert answer.recommendations[0].similarity == answer.recommendations[1].similarity
    assert answer.reason == "ambiguous_product"


def test_without_a_promise_everything_goes_to_review_with_the_reason(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder
) -> None:
    few = labelled_sets(data.split("calibration")[:20], data.split("validation"), seed=0)
    built = build_bundle(
        checkpoint, data.products, few, tmp_path / "b", promise=Promise(0.95, 0.95)
    )

    recommender, manifest = open_recommender(tmp_path / "b")
    answers = recommender.recommend([query.text for query in data.queries], k=1)
    assert manifest.operating_point is None
    assert {answer.reason.value for answer in answers} == {"no_threshold"}
    assert "labelled calibration queries would probably" in built.manifest.calibration.explanation


def test_a_folder_that_is_taken_is_not_touched(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    sets = labelled_sets(data.split("calibration"), None, seed=0)

    with pytest.raises(BundleError, match="already exists"):
        build_bundle(checkpoint, data.products, sets, tmp_path, promise=Promise(0.8, 0.95))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_products_without_a_trained_column_are_refused_and_leave_nothing(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder
) -> None:
    other = checkpoint.config.model_copy(
        update={"data": checkpoint.config.data.model_copy(update={"product_text": ("weight",)})}
    )
    changed = replace(checkpoint, config=other)
    sets = labelled_sets(data.split("calibration"), None, seed=0)

    with pytest.raises(ConfigError, match="weight"):
        build_bundle(changed, data.products, sets, tmp_path / "b", promise=Promise(0.8, 0.95))
    assert list(tmp_path.iterdir()) == []


def test_an_attribute_with_a_name_of_the_bundles_own_is_refused(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder
) -> None:
    items = tuple(
        Product(p.product_id, p.title, None, {"has_twin": "1"}) for p in data.products.items
    )
    sets = labelled_sets(data.split("calibration"), None, seed=0)

    with pytest.raises(BundleError, match="attribute named has_twin"):
        build_bundle(
            checkpoint,
            Products(items, ("has_twin",)),
            sets,
            tmp_path / "b",
            promise=Promise(0.8, 0.95),
        )


def test_golden_examples_are_not_near_a_tie(bundle: Path) -> None:
    recommender, manifest = open_recommender(bundle)
    lines = (bundle / "golden.jsonl").read_text().split("\n")[:-1]
    texts = [json.loads(line)["text"] for line in lines]

    for answer in recommender.recommend(texts, k=2):
        similarities = [r.similarity for r in answer.recommendations]
        if len(similarities) == 2:
            assert similarities[0] - similarities[1] > manifest.golden_tolerance.similarity
            assert abs(similarities[0] - (manifest.threshold or 2)) > 1e-3
    assert "" in texts


def test_a_threshold_lies_between_similarities_not_on_one(bundle: Path, data: DataFolder) -> None:
    recommender, manifest = open_recommender(bundle)
    validation = [query.text for query in data.split("validation")]
    similarities = [a.similarity for a in recommender.recommend(validation, k=1)]
    known = np.array([s for s in similarities if s is not None])

    assert manifest.threshold is not None
    assert manifest.threshold not in known or manifest.threshold == known.min()


def test_the_served_similarity_follows_the_vector_that_training_gave_a_product(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder, bundle: Path
) -> None:
    """Two lamps swap their vectors; a third has one for a text that it no longer has."""
    plain, _ = open_recommender(bundle)
    blue, red, white = "Acme lamp blue", "Acme lamp red", "Acme lamp white"
    swapped = plain.encoder.embed([red, blue, "Acme drill white"])
    ids = ["p-lamp-blue", "p-lamp-red", "p-lamp-white"]
    vectors = product_vectors(swapped, [0, 1, 2], ids, [blue, red, f"{white} old"])
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    trained = replace(checkpoint, product_vectors=vectors)

    build_bundle(trained, data.products, sets, tmp_path / "b", promise=Promise(0.8, 0.95))

    recommender, manifest = open_recommender(tmp_path / "b")
    answers = [answer.recommendations[0] for answer in recommender.recommend([blue, red, white])]
    assert manifest.catalogue.trained_vectors == 2
    assert [best.product_id for best in answers] == ["p-lamp-red", "p-lamp-blue", "p-lamp-white"]
    assert all(best.similarity > 0.9999 for best in answers)


def test_a_bundle_without_trained_vectors_has_the_manifest_of_older_releases(bundle: Path) -> None:
    """The very bytes of a manifest are checked, so a key that older ones lack would stop them."""
    _, manifest = open_recommender(bundle)

    written = json.loads((bundle / "manifest.json").read_text())["catalogue"]

    assert manifest.catalogue.trained_vectors == 0
    assert set(written) == {"products", "product_text", "attributes", "index", "retriever"}
    older = manifest.catalogue.model_copy(update={"retriever": None})
    assert set(older.model_dump(mode="json")) == set(written) - {"retriever"}
    some = manifest.catalogue.model_copy(update={"trained_vectors": 3})
    assert CatalogueRecord.model_validate(some.model_dump(mode="json")) == some


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_build_is_gone_on_with_and_leaves_one_bundle(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    promise = Promise(0.8, 0.95)
    with monkeypatch.context() as patch:
        patch.setattr(build, "write_retriever", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_bundle(checkpoint, data.products, sets, tmp_path / "b", promise=promise)
    assert [path.name for path in tmp_path.iterdir()] == [".b.partial"]
    monkeypatch.setattr(product_index, "_embed", lambda *_: pytest.fail("embedded before"))

    build_bundle(checkpoint, data.products, sets, tmp_path / "b", promise=promise)

    recommender, _ = open_recommender(tmp_path / "b")
    [answer] = recommender.recommend(["Acme lamp blue"])
    assert answer.recommendations[0].product_id == "p-lamp-blue"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_second_builder_of_one_bundle_is_refused_and_the_first_is_not_disturbed(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder
) -> None:
    sets = labelled_sets(data.split("calibration"), None, seed=0)
    with work_beside(tmp_path / "b") as work:
        with pytest.raises(BundleError, match="another process builds"):
            build_bundle(checkpoint, data.products, sets, tmp_path / "b", promise=Promise(0.8, 0.9))
        assert list(work.iterdir()) == []


STEPS = {
    "write_onnx": set[str](),
    "write_catalogue": set[str](),
    "make_vectors": set[str](),
    "write_retriever": {VECTORS, NOTES},
    "write_golden": {VECTORS, NOTES},
    "seal": {VECTORS, NOTES},
}
"""Steps of a build, and what they find in the work folder to go on with."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.usefixtures("capsys")
def test_a_full_disk_leaves_the_old_bundle_and_no_half_of_a_new_one(
    step: str,
    checkpoint: Checkpoint,
    data: DataFolder,
    own_copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    out, taken = own_copy.parent / "b", getattr(build, step)

    with no_room() as disk_is_full:
        monkeypatch.setattr(build, step, lambda *a, **k: (disk_is_full(), taken(*a, **k))[1])
        with pytest.raises(BundleError, match=r"cannot be written .*make room") as caught:
            build_bundle(checkpoint, data.products, sets, out, promise=Promise(0.8, 0.9))

    assert "\n" not in str(caught.value)
    assert {path.name for path in out.parent.iterdir()} <= {own_copy.name, ".b.partial"}
    assert {path.name for path in out.parent.glob(".b.partial/*")} == STEPS[step]
    open_recommender(own_copy)

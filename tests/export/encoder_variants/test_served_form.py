import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from export.build import Promise, build_bundle
from export.encoder_variants.exported import Precision
from export.encoder_variants.parity_gate import Gate
from export.encoder_variants.served_form import JudgedOn, Wanted, gate_texts
from export.encoder_variants.trial import Judges
from export.operating_point import labelled_sets
from service.contract.cpu import CpuKind
from service.contract.errors import BundleError
from service.contract.tokens import TokenisedText
from service.encoder import Encoder
from service.opening import open_recommender
from training.checkpoint import Checkpoint
from training.data.folders import DataFolder

LAX = Gate(changed_share=1.0, recall_at_10=0.0, least_queries=1)


def twice(_plain: Encoder, _other: Encoder, _texts: Sequence[TokenisedText]) -> float:
    return 2.0


def build(
    checkpoint: Checkpoint, data: DataFolder, out: Path, precision: Precision, gate: Gate
) -> None:
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    wanted = Wanted(precision, Judges(gate, twice), cpu=CpuKind.PLAIN)
    promise = Promise(0.8, 0.95)
    build_bundle(checkpoint, data.products, sets, out, promise=promise, wanted=wanted)


@pytest.mark.parametrize("precision", [Precision.AUTO, Precision.INT8, Precision.FP16])
def test_all_of_a_bundle_is_made_with_the_form_that_it_serves(
    checkpoint: Checkpoint, data: DataFolder, bundle: Path, tmp_path: Path, precision: Precision
) -> None:
    build(checkpoint, data, tmp_path / "b", precision, LAX)

    recommender, manifest = open_recommender(tmp_path / "b")
    title = data.products.items[0].title
    [answer] = recommender.recommend([title], k=1)
    own, plain = recommender.encoder, open_recommender(bundle)[0].encoder
    served = "fp16" if precision is Precision.FP16 else "int8"
    assert (manifest.encoder.precision, manifest.encoder.cpu) == (served, CpuKind.PLAIN)
    assert manifest.encoder.method
    assert {one.precision for one in manifest.encoder.variants} == {served}
    assert set(manifest.golden_tolerance_by_cpu) == ({"plain"} if served == "int8" else set())
    assert (own.embed([title]) != plain.embed([title])).any()
    assert answer.similarity == pytest.approx(1, abs=1e-3)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == sorted(
        path.name for path in bundle.iterdir()
    )


def test_fp32_records_nothing_new(bundle: Path) -> None:
    written = json.loads((bundle / "manifest.json").read_text())

    assert set(written["encoder"]) == {"base", "dim", "max_tokens", "precision", "parity_max_error"}
    assert written["encoder"]["precision"] == "fp32"
    assert "golden_tolerance_by_cpu" not in written


def test_a_form_that_fails_the_gate_leaves_no_bundle(
    checkpoint: Checkpoint, data: DataFolder, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="only 31 validation queries, 100 are needed"):
        build(checkpoint, data, tmp_path / "b", Precision.INT8, Gate())

    assert not (tmp_path / "b").exists()


def test_the_gate_asks_validation_queries_and_looks_for_them_among_their_products(
    data: DataFolder, bundle: Path
) -> None:
    encoder = open_recommender(bundle)[0].encoder
    texts = data.products.texts(("title",))
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    on = JudgedOn(data.products, texts, sets, 0.8)

    few = gate_texts(encoder, on, Gate(most_queries=5, most_products=7))
    whole = gate_texts(encoder, on, Gate())

    assert len(few.queries) == len(few.positives) == 5
    assert 7 <= len(few.products) < len(texts)
    assert [text.ids for text in whole.products] == [t.ids for t in encoder.tokenise(texts)]
    asked = {text.ids for text in whole.queries}
    assert not asked & {t.ids for t in encoder.tokenise([q.text for q in sets.calibration])}
    for query, right in zip(sets.validation[:5], few.positives, strict=True):
        titles = {p.title for p in data.products.items if p.product_id in query.positives}
        found = [few.products[row].ids for row in right]
        assert found == [text.ids for text in encoder.tokenise(sorted(titles))]


def test_an_embedding_of_the_served_int8_form_does_not_depend_on_the_batch(
    checkpoint: Checkpoint, data: DataFolder, tmp_path: Path
) -> None:
    build(checkpoint, data, tmp_path / "b", Precision.INT8, LAX)
    encoder = open_recommender(tmp_path / "b")[0].encoder
    texts = [*[query.text for query in data.queries][:40], "lamp"]

    together = encoder.embed(texts)
    alone = np.concatenate([encoder.embed([text]) for text in texts])

    np.testing.assert_allclose(together, alone, atol=1e-5)

import json
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pyarrow.parquet as pq
import pytest

from service.contract import bundle as bundles
from service.contract.bundle import open_bundle
from service.contract.errors import BundleCorruptError, BundleIncompatibleError, ConfigError
from service.onnx_session import Device
from service.opening import load_recommender, open_bundle_to_serve, open_recommender
from tests.tiny import DIM, PRODUCTS, reseal, write_bundle


def test_a_whole_bundle_opens_and_answers(tiny_bundle: Path) -> None:
    recommender, manifest = open_recommender(tiny_bundle)

    assert manifest == open_bundle(tiny_bundle).manifest
    assert recommender.threshold == manifest.threshold == 0.8
    assert recommender.recommend(["nikon z6 ii body"])[0].similarity == pytest.approx(1)


GOLDEN_EDITS: dict[str, dict[str, Any]] = {
    "token ids": {"ids": [2, 3]},
    "embedding": {"embedding": [1.0] + [0.0] * (DIM - 1)},
    "best product": {"product_id": "p-2"},
    "similarity": {"similarity": 0.99},
    "reason": {"reason": "below_threshold"},
}


@pytest.mark.parametrize(("what", "edit"), GOLDEN_EDITS.items(), ids=GOLDEN_EDITS)
def test_a_bundle_that_no_longer_gives_its_golden_answers_is_refused(
    own_bundle: Path, what: str, edit: dict[str, Any]
) -> None:
    path = own_bundle / bundles.GOLDEN
    first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(json.dumps({**json.loads(first), **edit}) + "\n" + "".join(others))
    reseal(own_bundle)

    with pytest.raises(BundleCorruptError, match=rf"golden example 0: {what}.*\(1 of 10 differ\)"):
        open_recommender(own_bundle)


def test_a_bundle_with_another_encoder_of_the_same_shape_is_refused(
    own_bundle: Path, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "other", seed=1)
    (own_bundle / bundles.ENCODER).write_bytes((tmp_path / "other" / bundles.ENCODER).read_bytes())
    reseal(own_bundle)

    with pytest.raises(BundleCorruptError, match="embedding is off"):
        open_recommender(own_bundle)


def test_a_bundle_whose_catalogue_lost_its_order_is_refused(own_bundle: Path) -> None:
    table = pq.read_table(own_bundle / bundles.CATALOGUE)
    pq.write_table(table.take(list(reversed(range(8)))), own_bundle / bundles.CATALOGUE)
    reseal(own_bundle)

    with pytest.raises(BundleCorruptError, match="best product"):
        open_recommender(own_bundle)


@pytest.mark.parametrize("name", bundles.REQUIRED)
@pytest.mark.parametrize("content", [b"", b"no such thing\n"])
def test_a_bundle_sealed_around_a_broken_file_is_refused_by_the_name_of_the_file(
    own_bundle: Path, name: str, content: bytes
) -> None:
    (own_bundle / name).write_bytes(content)
    reseal(own_bundle)

    with pytest.raises(BundleCorruptError, match=name):
        open_recommender(own_bundle)


def test_a_bundle_that_was_altered_is_refused_before_anything_of_it_is_loaded(
    own_bundle: Path,
) -> None:
    (own_bundle / bundles.INDEX).write_bytes(b"")

    with pytest.raises(BundleCorruptError, match="its manifest says"):
        open_recommender(own_bundle)


def test_a_bundle_of_another_release_is_refused(own_bundle: Path) -> None:
    (own_bundle / bundles.MANIFEST).write_text('{"schema_version": 2}')

    with pytest.raises(BundleIncompatibleError):
        open_recommender(own_bundle)


def test_loading_alone_replays_no_golden_example(own_bundle: Path) -> None:
    (own_bundle / bundles.GOLDEN).write_text("")
    reseal(own_bundle)

    recommender = load_recommender(open_bundle(own_bundle))

    assert recommender.recommend(["sony"])[0].recommendations


def test_an_open_bundle_knows_what_it_is_and_where_it_came_from(tiny_bundle: Path) -> None:
    opened = open_bundle_to_serve(tiny_bundle)

    assert opened.folder == tiny_bundle
    assert opened.manifest == open_bundle(tiny_bundle).manifest
    assert opened.recommender.recommend(["nikon z6 ii body"])[0].similarity == pytest.approx(1)


def test_a_bundle_with_the_same_encoder_and_tokenizer_shares_them_in_memory(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "next", products=PRODUCTS[::-1], threshold=0.9)
    current = open_bundle_to_serve(tiny_bundle)

    new = open_bundle_to_serve(tmp_path / "next", current=current)

    assert new.recommender.encoder is current.recommender.encoder
    assert new.recommender.retriever is not current.recommender.retriever
    assert new.recommender.catalogue.product_ids == current.recommender.catalogue.product_ids[::-1]
    assert (current.recommender.threshold, new.recommender.threshold) == (0.8, 0.9)


@pytest.mark.parametrize("name", [bundles.ENCODER, bundles.TOKENIZER])
def test_a_bundle_that_differs_in_a_file_of_the_encoder_opens_its_own(
    tiny_bundle: Path, own_bundle: Path, name: str
) -> None:
    path = own_bundle / name
    # white space in JSON, and a field that ONNX skips: other bytes with the same meaning
    path.write_bytes(path.read_bytes() + (b" " if name == bundles.TOKENIZER else b"\xfa\x3f\x00"))
    reseal(own_bundle)
    current = open_bundle_to_serve(tiny_bundle)

    new = open_bundle_to_serve(own_bundle, current=current)

    assert new.recommender.encoder is not current.recommender.encoder
    assert new.recommender.encoder.tokeniser is not current.recommender.encoder.tokeniser


def test_a_bundle_that_shares_the_encoder_is_examined_all_the_same(
    tiny_bundle: Path, own_bundle: Path
) -> None:
    table = pq.read_table(own_bundle / bundles.CATALOGUE)
    pq.write_table(table.take(list(reversed(range(8)))), own_bundle / bundles.CATALOGUE)
    reseal(own_bundle)
    current = open_bundle_to_serve(tiny_bundle)

    with pytest.raises(BundleCorruptError, match="best product"):
        open_bundle_to_serve(own_bundle, current=current)


def test_a_given_encoder_is_used_as_it_is(tiny_bundle: Path) -> None:
    encoder = open_bundle_to_serve(tiny_bundle).recommender.encoder

    recommender = load_recommender(open_bundle(tiny_bundle), encoder=encoder)

    assert recommender.encoder is encoder


@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(), reason="there is an accelerator"
)
def test_a_device_that_is_not_there_is_refused_for_the_encoder_and_for_the_index(
    tiny_bundle: Path,
) -> None:
    current = open_bundle_to_serve(tiny_bundle)

    with pytest.raises(ConfigError, match="the encoder should run on cuda"):
        open_bundle_to_serve(tiny_bundle, device=Device.CUDA)
    with pytest.raises(ConfigError, match="the installed FAISS has no GpuIndexFlatIP"):
        open_bundle_to_serve(tiny_bundle, current=current, device=Device.CUDA)

from pathlib import Path

import pytest

from export.build import Promise, build_bundle
from export.index_choice import IndexWish
from export.operating_point import labelled_sets
from service.contract.errors import BundleCorruptError, ConfigError
from service.contract.manifest import Manifest
from service.contract.retriever_record import Family
from service.opening import open_recommender
from service.retrievers.approximate import ApproximateRetriever
from tests.tiny import reseal
from training.checkpoint import Checkpoint
from training.data.folders import DataFolder


@pytest.fixture(scope="module")
def coded(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint, data: DataFolder
) -> Path:
    """Return a bundle whose index keeps codes only."""
    folder = tmp_path_factory.mktemp("coded") / "bundle"
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    wanted = IndexWish(Family.IVFPQ, recall=0.9)
    build_bundle(checkpoint, data.products, sets, folder, promise=Promise(0.8, 0.95), index=wanted)
    return folder


@pytest.fixture
def own(coded: Path, tmp_path: Path) -> Path:
    for path in coded.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def opened(folder: Path) -> Manifest:
    return open_recommender(folder)[1]


def test_a_bundle_with_another_index_opens_and_says_what_was_measured(coded: Path) -> None:
    recommender, manifest = open_recommender(coded)

    assert isinstance(recommender.retriever, ApproximateRetriever)
    record = manifest.catalogue.retriever
    assert record is not None
    assert (record.family, manifest.catalogue.index) == (Family.IVFPQ, "ivfpq")
    assert record.recall >= record.promised_recall == 0.9
    assert record.files == ("products.faiss", "vectors.npy")
    assert set(record.files) < set(manifest.files)


def test_its_answers_have_the_similarities_of_the_exact_index(coded: Path, bundle: Path) -> None:
    texts = ["Acme lamp blue", "lamp", "blue"]

    found, exact = (open_recommender(folder)[0].recommend(texts, k=3) for folder in (coded, bundle))

    for one, other in zip(found, exact, strict=True):
        assert one.similarity == pytest.approx(other.similarity, abs=1e-6)
        assert one.recommendations[0].product_id == other.recommendations[0].product_id


@pytest.mark.parametrize("name", ["products.faiss", "vectors.npy"])
def test_flipped_bytes_are_refused_before_faiss_reads_them(own: Path, name: str) -> None:
    content = bytearray((own / name).read_bytes())
    content[-7] ^= 0x40
    (own / name).write_bytes(content)

    with pytest.raises(BundleCorruptError, match=f"{name} was altered since the bundle was sealed"):
        opened(own)


def test_a_bundle_without_the_vectors_it_declares_is_refused(own: Path) -> None:
    (own / "vectors.npy").unlink()

    with pytest.raises(BundleCorruptError, match=r"vectors\.npy cannot be read"):
        opened(own)


def test_a_torn_file_is_refused_even_where_the_digest_is_of_the_torn_one(own: Path) -> None:
    path = own / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1])
    reseal(own)

    with pytest.raises(BundleCorruptError, match=r"vectors\.npy is no file of vectors"):
        opened(own)


def test_an_index_that_there_is_no_room_for_leaves_no_bundle(
    tmp_path: Path, checkpoint: Checkpoint, data: DataFolder
) -> None:
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)

    with pytest.raises(ConfigError, match="--index-memory allows"):
        build_bundle(
            checkpoint,
            data.products,
            sets,
            tmp_path / "b",
            promise=Promise(0.8, 0.95),
            index=IndexWish(Family.FLAT, memory_bytes=10),
        )

    assert not (tmp_path / "b").exists()

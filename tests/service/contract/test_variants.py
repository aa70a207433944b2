import json
from pathlib import Path
from shutil import copytree

import pytest

from service.contract import bundle as bundles
from service.contract.bundle import open_bundle
from service.contract.cpu import CpuKind
from service.contract.errors import BundleCorruptError
from service.contract.golden import read_golden, write_golden
from service.contract.manifest import GoldenTolerance, Manifest
from service.contract.variants import EncoderRecord, VariantRecord
from service.opening import check_golden, load_recommender
from tests.tiny import reseal

RECORD = VariantRecord(
    precision="int8", method="static", size_bytes=9, changed_decisions=3, queries=600,
    speed_ratio=2.2, passed=True, reason="as fp32",
)  # fmt: skip


def test_a_record_without_variants_has_the_keys_of_older_releases(tiny_bundle: Path) -> None:
    written = json.loads((tiny_bundle / bundles.MANIFEST).read_text())

    assert set(written["encoder"]) == {"base", "dim", "max_tokens", "precision", "parity_max_error"}
    assert "golden_tolerance_by_cpu" not in written


def test_a_record_comes_back_as_it_was_written(tiny_bundle: Path) -> None:
    manifest = open_bundle(tiny_bundle).manifest
    encoder = manifest.encoder.model_copy(
        update={"precision": "int8", "method": "m", "cpu": CpuKind.VNNI, "variants": (RECORD,)}
    )
    room = {CpuKind.VNNI: GoldenTolerance(embedding=1e-3, similarity=1e-3)}
    whole = manifest.model_copy(update={"encoder": encoder, "golden_tolerance_by_cpu": room})

    again = Manifest.model_validate_json(whole.to_bytes())

    assert again == whole
    assert again.golden_tolerance_on(CpuKind.VNNI).embedding == 1e-3
    assert again.golden_tolerance_on(CpuKind.PLAIN) == manifest.golden_tolerance
    assert EncoderRecord.model_validate(encoder.model_dump(mode="json")) == encoder


@pytest.mark.parametrize(
    ("changes", "share"),
    [({}, 0.005), ({"queries": 0}, None), ({"changed_decisions": None}, None)],
)
def test_the_share_of_changed_decisions(changes: dict[str, int | None], share: float) -> None:
    assert RECORD.model_copy(update=changes).changed_share == share


def test_a_bundle_off_on_another_kind_of_cpu_is_refused_and_says_so(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """The recorded embeddings are off by what one kind of CPU is granted and the other is not."""
    folder = Path(copytree(tiny_bundle, tmp_path / "b"))
    golden = read_golden(folder / bundles.GOLDEN)
    shifted = [
        one.model_copy(update={"embedding": tuple(x + 2e-3 for x in one.embedding)})
        for one in golden
    ]
    write_golden(folder / bundles.GOLDEN, shifted)
    manifest = open_bundle(tiny_bundle).manifest
    encoder = manifest.encoder.model_copy(
        update={"precision": "int8", "cpu": CpuKind.VNNI, "variants": (RECORD,)}
    )
    room = {CpuKind.VNNI: GoldenTolerance(embedding=5e-3, similarity=1e-3)}
    changed = manifest.model_copy(update={"encoder": encoder, "golden_tolerance_by_cpu": room})
    (folder / bundles.MANIFEST).write_bytes(changed.to_bytes())
    reseal(folder)
    bundle = open_bundle(folder)
    recommender = load_recommender(bundle)

    check_golden(recommender, bundle, cpu=CpuKind.VNNI)
    with pytest.raises(BundleCorruptError) as refused:
        check_golden(recommender, bundle, cpu=CpuKind.PLAIN)

    said = str(refused.value)
    assert "its int8 encoder was made on a CPU of kind vnni, not plain" in said
    assert "\n" not in said

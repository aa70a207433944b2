from pathlib import Path

import pytest

from service.contract.errors import DataError
from training.data.published_splits import has_published_splits


@pytest.mark.parametrize(
    ("record", "is_published"),
    [
        ('{"published_splits": true}', True),
        ('{"published_splits": false}', False),
        ('{"published_splits": "true"}', False),
        ('{"kind": "synthetic"}', False),
        ("[]", False),
    ],
)
def test_the_record_says_whether_splits_are_published(
    tmp_path: Path, record: str, is_published: bool
) -> None:
    (tmp_path / "prepared.json").write_text(record)

    assert has_published_splits(tmp_path) is is_published


def test_a_folder_without_a_record_has_its_own_splits(tmp_path: Path) -> None:
    assert not has_published_splits(tmp_path)


@pytest.mark.parametrize("data", [b"", b'{"published', b"\xff", b"[" * 100_000])
def test_a_torn_record_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "prepared.json"
    path.write_bytes(data)

    with pytest.raises(DataError) as caught:
        has_published_splits(tmp_path)

    assert str(caught.value).startswith(f"{path} is no record that `prepare` wrote (")

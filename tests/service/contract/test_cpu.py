from pathlib import Path

import pytest

from service.contract.cpu import CpuKind, cpu_kind


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("fpu avx2 fma", CpuKind.PLAIN),
        ("fpu avx2 avx512f avx512_vnni", CpuKind.VNNI),
        ("avx2 avx_vnni fma", CpuKind.VNNI),
        ("avx2 amx_int8 amx_tile", CpuKind.VNNI),
        ("avx2 avx512_vnni_of_another_name", CpuKind.PLAIN),
    ],
)
def test_the_kind_is_read_off_the_flags(tmp_path: Path, flags: str, kind: CpuKind) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor : 0\nmodel name : avx512_vnni\nflags : {flags}\n\nprocessor : 1\n")

    assert cpu_kind(file) is kind


@pytest.mark.parametrize("text", [None, "", "Features : asimd asimddp\n"])
def test_a_machine_that_lists_no_flags_is_plain(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)

    assert cpu_kind(file) is CpuKind.PLAIN

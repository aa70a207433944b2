"""All that needs a GPU, in one run: its tests, its speed beside the CPU's, its memory.

Says in one line what is missing where there is no GPU, and ends with 1. Else it runs the tests
marked `gpu`, encodes, searches, serves and swaps on the device and on the CPU, and writes a
report. Figures are printed and asserted by nobody; it ends with 1 if anything failed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.contract import bundle as bundles
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from service.onnx_session import Device
from service.opening import open_bundle_to_serve
from tests.benchmarks.figures_file import write_figures
from tests.benchmarks.gpu_encode import encode_rates, hand_over_rates
from tests.benchmarks.gpu_environment import look_around, problems_of, read_cards
from tests.benchmarks.gpu_report import exit_code, lines_of, put_together, run_sections
from tests.benchmarks.gpu_search import GPU_INDICES, Make, products, search_figures
from tests.benchmarks.gpu_served import memory_over_swaps, served_figures
from tests.benchmarks.gpu_tests import run_gpu_tests
from tests.benchmarks.machine import machine
from tests.benchmarks.traffic import texts_to_send
from tests.tiny import write_bundle
from training.console import complain, say

NO_BUNDLE = (
    "no --bundle: a tiny encoder of word vectors stands in, whose speed says nothing of a real one"
)
INSTALL = "see docs/gpu.md"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes:
        seconds: of each figure.
        batch_sizes: texts or queries of a run.
        products: sizes of the catalogues that are searched.
        swaps: of bundles.
    """

    seconds: float = 2.0
    batch_sizes: Sequence[int] = (1, 8, 64, 256, 1024)
    products: Sequence[int] = (100_000, 1_000_000)
    swaps: int = 20


QUICK = Extent(seconds=0.3, batch_sizes=(1, 64), products=(100_000,), swaps=4)


@dataclass(frozen=True, slots=True)
class Check:
    """What is measured where.

    Attributes:
        folders: bundles; the first is served, each is encoded with.
        scratch: an empty folder.
        extent: how much.
        device: the one that is compared with the CPU.
        indices: what is searched beside the CPU's exact index.
    """

    folders: Sequence[Path]
    scratch: Path
    extent: Extent
    device: Device = Device.CUDA
    indices: Mapping[str, Make] = field(default_factory=lambda: GPU_INDICES)

    def sections(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Return what measures each section, by its name in the report."""
        return {
            "tests": lambda: run_gpu_tests(self.scratch),
            "encode": self.encode,
            "hand_over": self.hand_over,
            **{f"search_{n}": lambda n=n: self.search(n) for n in self.extent.products},
            "served": self.served,
            "swaps": self.swaps,
        }

    def encode(self) -> dict[str, Any]:
        """Return tokens a second on the CPU, then of every bundle on the device."""
        encoders = {"cpu " + _precision(self.folders[0]): _encoder(self.folders[0], Device.CPU)}
        for folder in self.folders:
            name = f"{self.device} {_precision(folder)}, {folder.name}"
            encoders[name] = _encoder(folder, self.device)
        sizes = self.extent.batch_sizes
        return encode_rates(encoders, self._texts(), batch_sizes=sizes, seconds=self.extent.seconds)

    def hand_over(self) -> dict[str, Any]:
        """Return texts a second with vectors that stay on the device, and with a copy."""
        opened = open_bundle_to_serve(self.folders[0], device=self.device).recommender
        sizes = self.extent.batch_sizes
        return hand_over_rates(
            opened.encoder,
            opened.retriever,
            self._texts(),
            batch_sizes=sizes,
            seconds=self.extent.seconds,
        )

    def search(self, rows: int) -> dict[str, Any]:
        """Return queries a second and recall in so many vectors, of every index."""
        figures, failures = search_figures(
            products(rows),
            self.indices,
            batch_sizes=self.extent.batch_sizes,
            seconds=self.extent.seconds,
        )
        return {**figures, "failures": failures}

    def served(self) -> dict[str, Any]:
        """Return what callers see of the service on the device."""
        seconds = 5 * self.extent.seconds
        return served_figures(self.folders[0], self.scratch, device=self.device, seconds=seconds)

    def swaps(self) -> dict[str, Any]:
        """Return the device's memory over swaps between the first bundle and another one."""
        other = write_bundle(self.scratch / "other", seed=1).folder
        pair = [self.folders[0], self.folders[1] if len(self.folders) > 1 else other]
        used = memory_over_swaps(
            pair, swaps=self.extent.swaps, device=self.device, used_mib=_used_mib
        )
        return {"used_mib": used, "used_mib_more_at_the_end": used[-1] - used[0]}

    def _texts(self) -> list[str]:
        tokenizer = self.folders[0] / bundles.TOKENIZER
        return texts_to_send(tokenizer, seed=0).take(max(self.extent.batch_sizes))


def main(arguments: Sequence[str]) -> int:
    """Check the GPU, write the report and return the exit code."""
    asked = _parser().parse_args(arguments)
    found = look_around()
    problems = problems_of(found)
    if problems:
        complain(f"error: no GPU to check: {'; '.join(problems)}; {INSTALL}")
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        folders = asked.bundle or [_stand_in(Path(scratch))]
        check = Check(folders, Path(scratch), QUICK if asked.quick else Extent())
        figures, failures = run_sections(check.sections(), tell=say)
        measured = {one.name: _precision(one) for one in folders}
    report = put_together(found, {**machine(), "bundles": measured}, figures, failures)
    write_figures(report, asked.json)
    for line in [*lines_of(report), f"written to {asked.json}"]:
        say(line)
    return exit_code(report)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.gpu_check", description=__doc__
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        nargs="+",
        metavar="BUNDLE",
        help="built beforehand, as one of fp32 and one of fp16; the first is served",
    )
    parser.add_argument("--json", type=Path, default=Path("gpu_check.json"), metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="less of everything, a minute or two")
    return parser


def _stand_in(scratch: Path) -> Path:
    say(NO_BUNDLE)
    return write_bundle(scratch / "tiny").folder


def _precision(folder: Path) -> str:
    return bundles.open_bundle(folder).manifest.encoder.precision


def _encoder(folder: Path, device: Device) -> Encoder:
    tokeniser = TextTokeniser.from_file(folder / bundles.TOKENIZER)
    return Encoder(folder / bundles.ENCODER, tokeniser, workers=1, device=device)


def _used_mib() -> int:
    """Return the memory in use on the first card, by whomever."""
    return read_cards()[0].used_mib


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main(sys.argv[1:]))

"""From a folder on disk to a bundle that may answer: verified, loaded, and asked what it knows."""

from dataclasses import dataclass
from pathlib import Path

from service.catalogue import Catalogue
from service.contract import bundle as bundles
from service.contract.cpu import CpuKind, cpu_kind
from service.contract.errors import BundleCorruptError, DataError
from service.contract.golden import differences, read_golden
from service.contract.manifest import Manifest
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from service.onnx_session import Device
from service.recommender import Recommender
from service.retrievers.opening import open_retriever
from service.retrievers.placement import place_on_gpu
from service.signals import load_signals

READ_BY_THE_ENCODER = (bundles.ENCODER, bundles.TOKENIZER)
"""Two bundles that agree in these files share one encoder in memory."""


@dataclass(frozen=True)
class OpenBundle:
    """A bundle that passed its checks, ready to answer.

    Attributes:
        recommender: answers from it.
        manifest: what it is and what it promises.
        folder: where it was read from. Of a large index and its vectors, pages are still read from
            there, so no file of it may be written to; it may be removed.
    """

    recommender: Recommender
    manifest: Manifest
    folder: Path


def open_recommender(folder: Path) -> tuple[Recommender, Manifest]:
    """Return the recommender of a bundle that is whole and still gives its recorded answers.

    Raises:
        BundleCorruptError: if a file was altered, or a golden example's answer changed.
        BundleIncompatibleError: if the bundle was made for another release.
    """
    opened = open_bundle_to_serve(folder)
    return opened.recommender, opened.manifest


def open_bundle_to_serve(
    folder: Path,
    *,
    current: OpenBundle | None = None,
    device: Device = Device.CPU,
    device_memory_mb: int | None = None,
) -> OpenBundle:
    """Return a bundle that is whole and still gives its recorded answers.

    Args:
        folder: the bundle.
        current: what is open already; its encoder is used again if the new one is the same,
            byte for byte.
        device: where its encoder runs otherwise, and where its index is.
        device_memory_mb: most memory of an accelerator for the encoder; None is no bound.

    Raises:
        ConfigError: if the device is not to be had.
        BundleCorruptError: if a file was altered, or a golden example's answer changed.
        BundleIncompatibleError: if the bundle was made for another release.
    """
    bundle = bundles.open_bundle(folder)
    encoder = None if current is None else _shared_encoder(bundle.manifest, current)
    encoder = encoder or _open_encoder(bundle, device, memory_mb=device_memory_mb)
    recommender = load_recommender(bundle, encoder=encoder)
    if device is Device.CUDA:
        recommender = _beside_the_encoder(recommender, bundle.manifest)
    check_golden(recommender, bundle)
    return OpenBundle(recommender=recommender, manifest=bundle.manifest, folder=folder)


def load_recommender(bundle: bundles.Bundle, *, encoder: Encoder | None = None) -> Recommender:
    """Return the recommender of a verified bundle, before its golden examples are replayed.

    Args:
        bundle: what is loaded.
        encoder: an open encoder of the same files; None opens the bundle's own on the CPU.

    Raises:
        BundleCorruptError: if a file is not what it must be, or two of them do not fit.
    """
    manifest = bundle.manifest
    catalogue = Catalogue.from_file(bundle.path(bundles.CATALOGUE))
    signals = manifest.signals and load_signals(manifest.signals, bundle.folder, catalogue)
    return Recommender(
        encoder or _open_encoder(bundle, Device.CPU),
        open_retriever(bundle.folder, manifest.catalogue.retriever),
        catalogue,
        threshold=manifest.threshold,
        signals=signals,
        rules=manifest.rules_at(None),
    )


def check_golden(
    recommender: Recommender, bundle: bundles.Bundle, *, cpu: CpuKind | None = None
) -> None:
    """Replay the golden examples of ``bundle``.

    Args:
        recommender: of the bundle.
        bundle: whose examples are replayed.
        cpu: the kind of CPU whose tolerance counts; None asks this machine.

    Raises:
        BundleCorruptError: if an answer is not the recorded one.
    """
    recorded = read_golden(bundle.path(bundles.GOLDEN))
    replayed = recommender.replay([example.text for example in recorded])
    here = cpu or cpu_kind()
    found = differences(recorded, replayed, bundle.manifest.golden_tolerance_on(here))
    if found:
        message = (
            f"bundle {bundle.folder} does not give its own golden answers on this machine: "
            f"{found[0]} ({len(found)} of {len(recorded)} differ){_built_elsewhere(bundle, here)}; "
            "build the bundle here"
        )
        raise BundleCorruptError(message)


def _built_elsewhere(bundle: bundles.Bundle, here: CpuKind) -> str:
    """Say so where the encoder was made for another kind of CPU, the likeliest reason."""
    encoder = bundle.manifest.encoder
    if encoder.cpu in (None, here):
        return ""
    return f"; its {encoder.precision} encoder was made on a CPU of kind {encoder.cpu}, not {here}"


def _beside_the_encoder(recommender: Recommender, manifest: Manifest) -> Recommender:
    """Return the same recommender with its index on the accelerator."""
    placed = place_on_gpu(recommender.retriever, manifest.catalogue.retriever)
    return recommender.with_products(placed, recommender.catalogue, signals=recommender.signals)


def _open_encoder(
    bundle: bundles.Bundle, device: Device, *, memory_mb: int | None = None
) -> Encoder:
    try:
        tokeniser = TextTokeniser.from_file(bundle.path(bundles.TOKENIZER))
    except DataError as error:
        raise BundleCorruptError(str(error)) from error
    path = bundle.path(bundles.ENCODER)
    return Encoder(path, tokeniser, device=device, device_memory_mb=memory_mb)


def _shared_encoder(manifest: Manifest, current: OpenBundle) -> Encoder | None:
    """Return the encoder of ``current`` if its files are those of ``manifest``."""
    mine, open_now = manifest.files, current.manifest.files
    same = all(mine[name] == open_now[name] for name in READ_BY_THE_ENCODER)
    return current.recommender.encoder if same else None

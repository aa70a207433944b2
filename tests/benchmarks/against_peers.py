"""The service beside its peers: the same encoder, tokenizer, texts and cores.

Run by `make bench-peers`; about twenty-five minutes, after some for the peers' environments. Peers
encode and return vectors; the service also searches the catalogue and decides (where it has
`/embed`, that is measured as well). Systems take turns in every round, each started anew and alone
on the cores but for the load generator. Before a system is measured its vectors are compared.
"""

import argparse
import tempfile
from pathlib import Path

from tests.benchmarks.bundle_under_test import make_bundle
from tests.benchmarks.figures_file import write_figures
from tests.benchmarks.peer_report import report
from tests.benchmarks.peer_rounds import PeerBench
from tests.benchmarks.peer_systems import PEERS, install
from tests.benchmarks.subject import allow_many_connections
from training.console import say


def main() -> None:
    """Measure all systems in turn, print tables and goals, and write the figures."""
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("bench_peers.json"), metavar="FILE")
    parser.add_argument(
        "--environments",
        type=Path,
        default=Path(".bench/venvs"),
        metavar="FOLDER",
        help="where each peer has its packages; default .bench/venvs",
    )
    parser.add_argument("--torch-index", metavar="URL", help="an index with CPU-only torch")
    parser.add_argument("--peers", nargs="+", choices=names, default=names, help="default: all")
    parser.add_argument("--products", type=int, default=600, help="of the catalogue; default 600")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a run; default 3")
    arguments = parser.parse_args()
    allow_many_connections()
    peers = [peer for peer in PEERS if peer.name in arguments.peers]
    for peer in peers:
        install(peer, arguments.environments, torch_index=arguments.torch_index)
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(Path(folder), products=arguments.products)
        bench = PeerBench(Path(folder), bundle, arguments.environments, arguments.seconds)
        figures = bench.measure(peers, arguments.rounds)
    write_figures(figures, arguments.json)
    for line in report(figures):
        say(line)
    say(f"written to {arguments.json}")


if __name__ == "__main__":
    main()

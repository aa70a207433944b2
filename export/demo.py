"""The main job, start to end: data, training, export, calibration, serving, three questions."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from export.build import Promise, build_bundle
from export.evaluate import evaluate
from export.operating_point import labelled_sets
from export.options import STANDARD_TARGETS
from export.plot import draw_evaluation
from service.contract.decision import Decision
from service.contract.errors import BundleError, ConfigError, DataError
from service.opening import open_recommender
from service.recommender import Recommender
from training.checkpoint import load_checkpoint
from training.config import load_config
from training.console import say
from training.data.folders import DataFolder, read_data_folder
from training.data.matches import LabelledQuery
from training.data.prepare import prepare
from training.loop import fit

START_SECONDS = 60.0
MARK = ".surematch-demo"
RECIPE = Path(__file__).parent.parent / "training" / "configs" / "demo.toml"


@dataclass(frozen=True)
class Question:
    """A query for the running service, and what it is meant to show."""

    shows: str
    query: LabelledQuery


def run_demo(work: Path, *, data: Path | None = None) -> None:
    """Do the whole job in ``work``: on a data folder, or on synthetic data where none is given.

    Raises:
        SurematchError: if a step fails; the message says which and what to do.
    """
    started = time.monotonic()
    _empty(work)
    say("1/5 data" if data else "1/5 data: synthetic, made by a seeded generator")
    if data is None:
        prepare("synthetic", None, work / "data")
    folder = read_data_folder(data or work / "data")
    _must_have_queries(folder)
    say("2/5 training")
    # no stop between two steps: the next demo begins anew, so there is nothing to save
    fit(load_config(None if data else RECIPE), folder, work / "checkpoint", should_stop=_never)
    say("3/5 export, index, operating point")
    checkpoint = load_checkpoint(work / "checkpoint")
    sets = labelled_sets(folder.split("calibration"), folder.split("validation") or None, seed=0)
    promise = Promise(0.95, 0.95, further_targets=STANDARD_TARGETS)
    build_bundle(checkpoint, folder.products, sets, work / "bundle", promise=promise)
    say("4/5 the figures before and after training, on test queries nobody has used yet")
    recommender = _show_figures(work, folder)
    say("5/5 three questions for the running service")
    _ask(work / "bundle", _questions(recommender, folder))
    say(f"done in {time.monotonic() - started:.0f} s; what next:")
    _say_what_next(work)


def _empty(work: Path) -> None:
    """Remove what an earlier demo left, and nothing that is not a demo's."""
    is_ours = work.is_dir() and ((work / MARK).exists() or not any(work.iterdir()))
    if work.exists() and not is_ours:
        message = (
            f"{work} is a file or holds files that no demo wrote; name another folder with --work"
        )
        raise ConfigError(message)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / MARK).touch()


def _must_have_queries(data: DataFolder) -> None:
    """Say now, not after the training, which queries a later step would lack."""
    for split in ("train", "calibration", "test"):
        if not data.split(split):
            message = f"{data.path} has no query with split {split}; the demo needs some"
            raise DataError(message)


def _never() -> bool:
    return False


def _show_figures(work: Path, data: DataFolder) -> Recommender:
    recommender, manifest = open_recommender(work / "bundle")
    baselines = ("tfidf", "untrained")
    evaluation = evaluate(recommender, manifest, data.split("test"), baselines=baselines)
    for line in evaluation.table():
        say(line)
    for line in evaluation.promises():
        say(line)
    draw_evaluation(evaluation, work / "evaluation.png")
    return recommender


def _questions(recommender: Recommender, data: DataFolder) -> list[Question]:
    """Return the first test queries that show an acceptance, a review, an unknown product."""
    queries = data.split("test")
    answers = recommender.recommend([query.text for query in queries], k=1)
    decided = list(zip(queries, answers, strict=True))
    known = [(query, answer) for query, answer in decided if query.has_product]
    found = {
        "goes out alone": [q for q, a in known if a.decision is Decision.AUTO_ACCEPTED],
        "goes to a person": [q for q, a in known if a.decision is Decision.MANUAL_REVIEW],
        "its product is not in the catalogue": [q for q, _ in decided if not q.has_product],
    }
    return [Question(shows, candidates[0]) for shows, candidates in found.items() if candidates]


def _ask(bundle: Path, questions: Sequence[Question]) -> None:
    with _running_service(bundle) as url:
        body = {"queries": [{"text": q.query.text} for q in questions], "k": 2}
        results = _post(f"{url}/recommend", body)["results"]
        for question, result in zip(questions, results, strict=True):
            say(f"  {question.query.text!r} ({question.shows})")
            say(f"    {result['decision']}: {result['reason']}")
            for best in result["recommendations"]:
                mark = "right" if best["product_id"] in question.query.positives else "wrong"
                say(f"    {best['similarity']:.3f}  {best['title']}  ({mark})")


@contextmanager
def _running_service(bundle: Path) -> Generator[str]:
    """Run the service on a free port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = bundle.parent / "service.log"
    command = [sys.executable, "-m", "service", "--bundle", str(bundle), "--port", str(port)]
    with log.open("wb") as output:
        service = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603  # our own
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(service, url, log)
            yield url
        finally:
            service.terminate()
            service.wait(timeout=START_SECONDS)


def _wait_until_ready(service: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and service.poll() is None:
        try:
            with urlopen(f"{url}/readyz", timeout=5):  # noqa: S310  # our own address
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    message = f"the service did not get ready within {START_SECONDS:.0f} s; its log is {log}"
    raise BundleError(message)


def _post(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    request = Request(  # noqa: S310  # our own address
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=START_SECONDS) as answer:  # noqa: S310
        return json.load(answer)


def _say_what_next(work: Path) -> None:
    say(f"  look at the curves     {work / 'evaluation.png'}")
    say(f"  serve it               python -m service --bundle {work / 'bundle'}")
    say(f"  read the answers       python -m export recommend --bundle {work / 'bundle'} --help")
    say("  use your own products  python -m training prepare --from folder --help")

"""A service that is killed at any moment has every change that it had acknowledged."""

import itertools
import random
import threading
from pathlib import Path

import httpx
import pytest

from tests.process import service_process

pytestmark = pytest.mark.slow
WORDS = ("Nikon", "Sony", "Canon", "Silver", "Black", "Body", "Cable", "White")


class Writer:
    """Changes products of its own, one after another, until the service is gone.

    Attributes:
        acknowledged: the title of each product as it was last answered; None where it is deleted.
        answers: how many changes were acknowledged.
        asked: what the change under way would make of its product.
    """

    def __init__(self, address: str, name: str) -> None:
        self.acknowledged: dict[str, str | None] = {}
        self.answers = 0
        self.asked: tuple[str, str | None] | None = None
        self._address = address
        self._name = name

    def run(self) -> None:
        with httpx.Client(base_url=self._address, timeout=30.0) as client:
            for step in itertools.count():
                product_id = f"{self._name}/{step % 9}"
                delete = step % 5 == 4 and self.acknowledged.get(product_id) is not None
                title = None if delete else f"{WORDS[step % 8]} {WORDS[step // 8 % 8]} {step}"
                self.asked = (product_id, title)
                path = f"/products/{product_id}"
                try:
                    answer = (
                        client.delete(path) if delete else client.put(path, json={"title": title})
                    )
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                self.acknowledged[product_id] = title
                self.answers += 1


def test_a_killed_service_has_every_change_it_had_acknowledged(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    dice = random.Random(0)  # noqa: S311  # no secret
    arguments = ["--bundle", str(tiny_bundle), "--port", "0", "--merge-products", "5"]
    arguments += ["--changes-folder", str(tmp_path / "changes"), "--accept-new-products", "true"]
    expected: dict[str, tuple[str | None, ...]] = {}
    for life in range(3):
        with service_process(tmp_path / f"log-{life}", *arguments) as process:
            address = process.ready_address()
            check(address, expected)
            writers = [Writer(address, f"w{life}-{number}") for number in range(3)]
            threads = [threading.Thread(target=writer.run) for writer in writers]
            for thread in threads:
                thread.start()
            wanted = dice.randrange(15, 60)
            while max(writer.answers for writer in writers) < wanted:
                assert process.popen.poll() is None, process.said
                assert any(thread.is_alive() for thread in threads)
                threads[0].join(0.01)
            process.popen.kill()
            for thread in threads:
                thread.join()
        for writer in writers:
            expected |= {name: (title,) for name, title in writer.acknowledged.items()}
            if writer.asked is not None:  # kept, it may be, though nobody was told
                name, title = writer.asked
                expected[name] = (*expected.get(name, (None,)), title)


def check(address: str, expected: dict[str, tuple[str | None, ...]]) -> None:
    for name, titles in expected.items():
        answer = httpx.get(f"{address}/products/{name}")
        served = answer.json()["title"] if answer.status_code == 200 else None
        assert served in titles, name
        if served is not None:
            body = {"queries": [served], "k": 100}
            (result,) = httpx.post(f"{address}/recommend", json=body).json()["results"]
            found = {one["product_id"]: one["title"] for one in result["recommendations"]}
            assert found.get(name) == served
        expected[name] = (served,)

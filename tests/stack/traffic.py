"""Everything a caller can do, right and wrong, so that every series of the service moves."""

from dataclasses import dataclass, field

import httpx
from surematch_client import BundleRefusedError, SurematchClientError

from deploy.demo.offers import Mix, Shops
from tests.stack.local_stack import Stack

PRODUCTS = 200
QUERIES = 64


@dataclass
class Traffic:
    """Sends offers and counts what came back."""

    stack: Stack
    shops: Shops = field(default_factory=lambda: Shops(PRODUCTS, seed=11))

    def count(self, bodies: int, hardness: float) -> dict[str, int]:
        """Return how many queries of so many bodies got which decision."""
        counted = {"auto_accepted": 0, "manual_review": 0}
        with self.stack.client() as client:
            for _ in range(bodies):
                texts = list(self.shops.offers(QUERIES, Mix(hardness)))
                for result in client.recommend(texts).results:
                    counted[result.decision.value] += 1
        return counted

    def everything(self) -> None:
        """Use every route, with and without mistakes; whatever comes back is right."""
        address = self.stack.address("service", 8000)
        texts = list(self.shops.offers(8, Mix(0.2)))
        headers = {"X-API-Key": self.stack.key("traffic")}
        with httpx.Client(base_url=address, headers=headers, timeout=60) as http:
            for body in ({"queries": [*texts, ""]}, {"queries": texts}, {"queries": 7}):
                http.post("/recommend", json=body)
            http.post("/recommend", json={"queries": texts}, headers={"X-API-Key": "wrong"})
            late = {"X-Request-Deadline-Ms": "1"}
            http.post(
                "/recommend", json={"queries": [*self.shops.offers(64, Mix(1))]}, headers=late
            )
            http.post("/embed", json={"texts": texts})
            http.post("/v1/embeddings", json={"model": "surematch", "input": texts})
            http.post("/recommend/stream", content='{"text": "an offer"}\nno json\n')
            http.post("/admin/rollback")
            http.get("/info")
        self._swap()

    def _swap(self) -> None:
        with self.stack.client("admin") as admin:
            admin.swap_bundle("demo")
            try:
                admin.swap_bundle("none-such")
            except BundleRefusedError:
                pass
            except SurematchClientError as error:
                message = f"a swap to no bundle ended otherwise: {error}"
                raise AssertionError(message) from error

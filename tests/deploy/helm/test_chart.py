"""The Helm chart, rendered by Helm's own engine for several sets of values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.contract.release import RELEASE
from service.settings import PREFIX, Settings
from tests.monitoring import rules

helm_python = pytest.importorskip("helm_python", reason="Helm's engine has no wheel here")
CHART = Path(__file__).parents[3] / "deploy" / "helm" / "surematch"
KUBERNETES = kubernetes_validate.latest_version()
Resource = Mapping[str, Any]

VOLUME = {"keys": {"secret": "keys"}, "bundle": {"volume": {"claim": "bundles"}}}
STORE = {
    "bundle": {
        "source": "objectStore",
        "objectStore": {"from": "store:b/b-1", "name": "b-1", "secret": "store"},
    },
    "keys": {"secret": "keys"},
}
SETS: dict[str, dict[str, Any]] = {
    "volume": VOLUME,
    "object store": STORE,
    "anonymous": {**VOLUME, "keys": {"allowAnonymous": True}},
    "gpu": {
        **VOLUME,
        "gpu": {"enabled": True},
        "image": {"repository": "surematch-service-gpu", "digest": "sha256:" + "0" * 64},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "nodeSelector": {"gpu": "yes"},
    },
    "everything": {
        **STORE,
        "autoscaling": {"enabled": True},
        "monitoring": {"serviceMonitor": True, "rules": True, "labels": {"release": "p"}},
        "settings": {"max_queries": 500, "log_level": "debug"},
        "podLabels": {"team": "search"},
        "podAnnotations": {"note": "x"},
        "serviceAccount": {"name": "own"},
        "image": {"pullSecrets": [{"name": "registry"}]},
        "affinity": {"podAntiAffinity": {}},
    },
}


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[Resource]]:
    """Every resource of every set of values."""
    chart = helm_python.Chart.load(CHART)
    return {name: resources(chart.render(values, name="shop")) for name, values in SETS.items()}


def resources(files: Mapping[str, str]) -> list[Resource]:
    return [one for text in files.values() for one in yaml.safe_load_all(text) if one]


def only(found: list[Resource], kind: str) -> Any:
    (one,) = [one for one in found if one["kind"] == kind]
    return one


def pod(found: list[Resource]) -> Any:
    return only(found, "Deployment")["spec"]["template"]["spec"]


def environment(found: list[Resource]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in pod(found)["containers"][0]["env"]}


@pytest.mark.parametrize("name", SETS)
def test_every_resource_is_one_that_kubernetes_takes(
    rendered: dict[str, list[Resource]], name: str
) -> None:
    for one in rendered[name]:
        if one["apiVersion"] != "monitoring.coreos.com/v1":  # the operator's own, checked below
            kubernetes_validate.validate(dict(one), KUBERNETES, strict=True)


def test_the_schemas_would_find_a_mistake(rendered: dict[str, list[Resource]]) -> None:
    broken = {**only(rendered["volume"], "Deployment"), "specs": {}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_the_chart_is_what_helm_wants(rendered: dict[str, list[Resource]]) -> None:  # noqa: ARG001
    said = helm_python.lint(CHART, VOLUME, strict=True)

    assert not said.get("errors"), said
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == RELEASE


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bundle": VOLUME["bundle"]}, "nobody could ask"),
        ({"keys": VOLUME["keys"]}, "no bundle: name a claim"),
        ({**VOLUME, "bundle": {"source": "objectStore"}}, "no bundle: set bundle.objectStore"),
        ({**VOLUME, "replica": 3}, "replica"),
        ({**VOLUME, "settings": {"bundle": "/elsewhere"}}, "'bundle'"),
        ({**VOLUME, "image": {"digest": "latest"}}, "digest"),
    ],
)
def test_values_that_cannot_work_are_refused_with_what_to_do(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=said):
        helm_python.Chart.load(CHART).render(values, name="shop")


@pytest.mark.parametrize("name", SETS)
def test_a_pod_has_no_rights_and_changes_nothing(
    rendered: dict[str, list[Resource]], name: str
) -> None:
    spec = pod(rendered[name])

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["automountServiceAccountToken"] is False
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
    mounts = {one["name"]: one for one in spec["containers"][0]["volumeMounts"]}
    assert mounts["bundles"]["readOnly"] is True


@pytest.mark.parametrize("name", SETS)
def test_every_variable_is_a_setting_of_the_service_and_given_once(
    rendered: dict[str, list[Resource]], name: str
) -> None:
    known = {PREFIX + one.upper() for one in Settings.model_fields}
    names = [one["name"] for one in pod(rendered[name])["containers"][0]["env"]]

    assert {one for one in names if one.startswith(PREFIX)} <= known
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", SETS)
def test_a_pod_is_asked_whether_it_lives_and_whether_it_is_ready(
    rendered: dict[str, list[Resource]], name: str
) -> None:
    spec = pod(rendered[name])
    container = spec["containers"][0]
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert paths == dict(zip(paths, ("/livez", "/livez", "/readyz"), strict=True))
    variables = environment(rendered[name])
    stop = float(variables["SUREMATCH_DRAIN_SECONDS"]) + float(
        variables["SUREMATCH_SHUTDOWN_SECONDS"]
    )
    assert spec["terminationGracePeriodSeconds"] > stop


def test_a_bundle_of_an_object_store_is_there_whole_before_it_is_named(
    rendered: dict[str, list[Resource]],
) -> None:
    fetch = pod(rendered["object store"])["initContainers"][0]
    script = fetch["args"][0]

    assert script.index("rclone copy") < script.index("mv ") < script.index("/bundles/CURRENT")
    assert {"name": "FROM", "value": "store:b/b-1"} in fetch["env"]
    assert fetch["envFrom"] == [{"secretRef": {"name": "store"}}]
    assert "initContainers" not in pod(rendered["volume"])


def test_keys_come_from_a_secret_or_anybody_may_ask(rendered: dict[str, list[Resource]]) -> None:
    assert environment(rendered["volume"])["SUREMATCH_KEYS_FILE"] == "/run/surematch/keys.toml"
    assert environment(rendered["anonymous"])["SUREMATCH_ALLOW_ANONYMOUS"] == "true"
    assert "SUREMATCH_ALLOW_ANONYMOUS" not in environment(rendered["volume"])


def test_a_gpu_is_asked_for_and_used(rendered: dict[str, list[Resource]]) -> None:
    container = pod(rendered["gpu"])["containers"][0]

    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert environment(rendered["gpu"])["SUREMATCH_DEVICE"] == "cuda"
    assert container["image"].startswith("surematch-service-gpu@sha256:")


def test_pods_are_added_by_the_tokens_that_wait(rendered: dict[str, list[Resource]]) -> None:
    scaler = only(rendered["everything"], "HorizontalPodAutoscaler")["spec"]

    (metric,) = scaler["metrics"]
    assert metric["pods"]["metric"]["name"] == "surematch_queue_tokens"
    assert scaler["scaleTargetRef"]["name"] == "shop-surematch"
    assert "replicas" not in only(rendered["everything"], "Deployment")["spec"]


def test_the_operator_gets_every_rule_and_the_job_that_they_ask_for(
    rendered: dict[str, list[Resource]],
) -> None:
    found = rendered["everything"]
    groups = only(found, "PrometheusRule")["spec"]["groups"]
    monitor = only(found, "ServiceMonitor")
    labels = only(found, "Service")["metadata"]["labels"]

    given = [rule.get("record") or rule["alert"] for group in groups for rule in group["rules"]]
    assert given == [rule.name for rule in rules()]
    assert labels[monitor["spec"]["jobLabel"]] == "surematch"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["metadata"]["labels"]["release"] == "p"

"""Settings of TensorFlow Serving, on a cluster and by the real operator. The spec is that of docs/how-to/server.md."""

from pathlib import Path

import pytest
import yaml

from support.kube_api import Api
from support.line_service import SECONDS, a_service, is_serving
from support.manifests import a_claim
from support.operator_process import OperatorProcess
from support.pages import blocks
from support.published import STORE, predictions, publish

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "server.md"


def test_the_settings_of_the_page_are_served_with(api: Api, default_class: str, operator: OperatorProcess) -> None:
    api.apply(a_claim(STORE))
    publish(api, 2)
    server = yaml.safe_load(blocks(PAGE, "yaml")[0])["spec"]["server"]
    # The page asks for two cores, which is all that a node of two has: the pod would wait for every other test.
    server["resources"]["limits"]["cpu"] = "500m"
    service = a_service(2, server=server)
    api.apply(service)
    api.wait_for(service, is_serving(2), timeout=SECONDS)

    assert predictions(api, "line", [1.0, 2.0]) == [2.0, 4.0]

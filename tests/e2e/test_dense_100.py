"""The network of the founding document, from its data to a model: the commands of its page, on a devcluster."""

import re
from pathlib import Path

import yaml

from support import kubectl
from support.devcluster import devcluster
from support.kube_api import Api, connect
from support.pages import ROOT, commands_in, run

FOLDER = ROOT / "examples" / "dense-100"


def test_the_commands_of_its_page_train_it(tmp_path: Path) -> None:
    commands = commands_in(FOLDER / "README.md", "kubectl")
    with devcluster(tmp_path) as kubeconfig:
        environment = kubectl.environment(kubeconfig, tmp_path)
        run(["kubectl apply -k manifests/crds", "kubectl apply -k manifests"], environment)
        printed = run(commands, environment)
        with connect(kubeconfig) as client:
            job = Api(client, "default").get(yaml.safe_load((FOLDER / "trainingjob.yaml").read_text()))

    assert job is not None
    assert re.search(r"dense-100 +Succeeded +100 +10/10 ", printed["get"])
    assert job["status"]["model"]["uri"] == "pvc://models/dense-100/1"
    assert float(job["status"]["model"]["metrics"]["val_accuracy"]) > 0.9

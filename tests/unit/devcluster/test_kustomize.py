from pathlib import Path

import pytest

from trainyard_devcluster import kustomize

QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart"


def test_the_quickstart_becomes_its_config_map_and_its_resources() -> None:
    built = kustomize.build(QUICKSTART)

    assert [manifest["kind"] for manifest in built] == [
        "ConfigMap",
        "PersistentVolumeClaim",
        "TrainingJob",
        "ModelService",
    ]
    assert built[0]["data"]["breast-cancer.csv"].startswith("radius_mean,")


@pytest.mark.parametrize(
    ("kustomization", "message"),
    [
        ("namePrefix: x-", "namePrefix not supported here"),
        ("configMapGenerator: [{name: a, files: [b]}]", "disableNameSuffixHash must be true"),
    ],
)
def test_what_it_does_not_know_is_refused(tmp_path: Path, kustomization: str, message: str) -> None:
    (tmp_path / "kustomization.yaml").write_text(kustomization)

    with pytest.raises(ValueError, match=message):
        kustomize.build(tmp_path)

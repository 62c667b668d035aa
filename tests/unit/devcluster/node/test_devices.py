"""Which GPUs a container sees."""

from typing import Any

import pytest

from trainyard_devcluster.node.devices import DevicesExhaustedError, Gpus


def a_container(gpus: int, name: str = "main") -> dict[str, Any]:
    return {"name": name, "resources": {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}}


def test_containers_see_their_own_gpus_and_no_others() -> None:
    gpus = Gpus(3)
    assert gpus.take("a", a_container(2)) == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert gpus.take("b", a_container(1)) == {"CUDA_VISIBLE_DEVICES": "2"}
    assert gpus.take("c", a_container(0)) == {"CUDA_VISIBLE_DEVICES": ""}
    assert gpus.take("a", a_container(2)) == {"CUDA_VISIBLE_DEVICES": "0,1"}  # it was restarted
    with pytest.raises(DevicesExhaustedError):
        gpus.take("d", a_container(1))
    gpus.give_back("a")
    assert gpus.take("d", a_container(1)) == {"CUDA_VISIBLE_DEVICES": "0"}


def test_what_init_containers_had_goes_on_to_the_containers_after_them() -> None:
    gpus = Gpus(1)
    assert gpus.take("a", a_container(1, "first"), init=True) == {"CUDA_VISIBLE_DEVICES": "0"}
    assert gpus.take("a", a_container(1)) == {"CUDA_VISIBLE_DEVICES": "0"}


def test_a_node_that_declares_none_leaves_the_variable_alone() -> None:
    assert Gpus(0).take("a", a_container(0)) == {}

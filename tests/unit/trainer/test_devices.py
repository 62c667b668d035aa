"""A training that asked for GPUs trains on them, or says why it cannot."""

import pytest
import tensorflow as tf

from trainyard_trainer.devices import check_gpus
from trainyard_trainer.errors import BadInput


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param(0, 0, id="none asked for"),
        pytest.param(0, 2, id="more than asked for"),
        pytest.param(2, 2, id="all there"),
    ],
)
def test_a_training_with_its_gpus_begins(wanted: int, found: int) -> None:
    check_gpus(wanted, found, {})


@pytest.mark.skipif(tf.test.is_built_with_cuda(), reason="this TensorFlow has CUDA")
def test_an_image_without_cuda_is_named_as_the_cause() -> None:
    with pytest.raises(BadInput, match=r"gpus is 1, but TensorFlow has found 0: .* without CUDA; take .*-gpu"):
        check_gpus(1, 0, {})


def test_a_node_that_hides_its_gpus_is_named_as_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: True)

    with pytest.raises(BadInput, match=r"gpus is 2, but TensorFlow has found 1: .*driver.*VISIBLE_DEVICES is 'void'"):
        check_gpus(2, 1, {"NVIDIA_VISIBLE_DEVICES": "void"})

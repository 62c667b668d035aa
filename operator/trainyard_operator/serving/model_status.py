"""What a TensorFlow Serving process says of a model version."""

from dataclasses import dataclass

from trainyard_api.tensorflow_serving_pb2 import GetModelStatusResponse, ModelVersionStatus
from trainyard_operator.workloads.text import clean

_LIMIT = 300


@dataclass(frozen=True, slots=True)
class ModelReadiness:
    """What a pod says of the model version it shall serve: whether it does, and if not, what it says instead.

    Attributes:
        reached: Whether the pod itself said so.
    """

    available: bool
    detail: str = ""
    reached: bool = True

    @property
    def lost(self) -> bool:
        """Whether a pod that had the model has it no longer. One that is too busy to tell has lost nothing."""
        return self.reached and not self.available


def answer(response: GetModelStatusResponse, version: int) -> ModelReadiness:
    """Return what a response says of one version."""
    for status in response.model_version_status:
        if status.version == version:
            if status.state == ModelVersionStatus.AVAILABLE:
                return ModelReadiness(True)
            state = ModelVersionStatus.State.Name(status.state)
            return ModelReadiness(False, clean(f"version {version} is {state} {status.status.error_message}", _LIMIT))
    return ModelReadiness(False, f"it knows nothing of version {version}")

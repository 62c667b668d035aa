"""The gRPC calls as functions from request message to reply message. They raise ServingError."""

from collections.abc import Callable
from typing import Any, Final

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from . import tensors
from .core import Core
from .errors import invalid_argument, not_found
from .model import Model
from .predict import Predictor
from .states import StateMonitor, VersionState

SIGNATURE_DEF: Final = "signature_def"


class Messages:
    """Predict, GetModelMetadata and GetModelStatus."""

    def __init__(self, core: Core[Model], predictor: Predictor, *, as_content: bool = False) -> None:
        self._core = core
        self._predictor = predictor
        self._as_content = as_content

    def predict(self, request: Any) -> Any:
        """PredictionService/Predict."""
        _require_model_spec(request)
        with self._core.servable(request.model_spec) as model:
            return self.predict_on(model, request)

    def predict_on(self, model: Model, request: Any) -> Any:
        """The same on a given model."""
        spec = request.model_spec
        done = self._predictor.predict(
            model,
            spec.name,
            spec.signature_name,
            request.inputs,
            to_array=tensors.to_array,
            output_filter=request.output_filter,
        )
        reply = predict_pb2.PredictResponse()
        for name, array in done.outputs.items():
            tensors.to_proto(reply.outputs[name], array, as_content=self._as_content)
        reply.model_spec.name = spec.name
        reply.model_spec.signature_name = done.signature_name
        reply.model_spec.version.value = done.version
        return reply

    def metadata(self, request: Any) -> Any:
        """PredictionService/GetModelMetadata."""
        _require_model_spec(request)
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != SIGNATURE_DEF:
                raise invalid_argument(f"Metadata field {field} is not supported")
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._core.servable(request.model_spec) as model:
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
            reply.model_spec.name = model.name
            reply.model_spec.version.value = model.version
        reply.metadata[SIGNATURE_DEF].Pack(signatures)
        return reply

    def status(self, request: Any) -> Any:
        """ModelService/GetModelStatus. A version label counts for nothing, as in the original."""
        _require_model_spec(request)
        return model_status(self._core.monitor, request.model_spec)


def model_status(monitor: StateMonitor, spec: Any) -> Any:
    """The states of one version or of all, the highest version first."""
    known = monitor.versions(spec.name)
    reply = get_model_status_pb2.GetModelStatusResponse()
    if spec.WhichOneof("version_choice") == "version":
        version = spec.version.value
        if version not in known:
            raise not_found(f"Could not find version {version} of model {spec.name}")
        known = {version: known[version]}
    elif not known:
        raise not_found(f"Could not find any versions of model {spec.name}")
    for version in sorted(known, reverse=True):
        _add_status(reply.model_version_status.add, version, known[version])
    return reply


def _add_status(add: Callable[..., Any], version: int, state: VersionState) -> None:
    status = add(version=version, state=int(state.state)).status
    status.SetInParent()
    if state.error:
        status.error_code = int(state.error.code)
        status.error_message = state.error.message


def _require_model_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")

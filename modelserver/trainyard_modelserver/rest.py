"""The REST API and the metrics page, as a function from request to response."""

import time
import zlib
from typing import Any, Final

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from .core import Core
from .errors import HTTP_STATUS, Code, ServingError, invalid_argument, unimplemented
from .http_server import Request, Response
from .json_reply import error_body, write_reply
from .json_request import Inputs, read_request
from .messages import SIGNATURE_DEF, Messages
from .metrics import Metrics
from .model import DEFAULT_SIGNATURE, Model
from .predict import Predictor
from .rest_path import Target, is_api_path, malformed, parse_path

_JSON: Final = (("Content-Type", "application/json"),)
_CORS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, GET"),
    ("Access-Control-Allow-Headers", "Content-Type"),
)
_MAX_UNPACKED: Final = 100 * 1024 * 1024
"""Bytes that a compressed body may unpack to; beyond that it counts as empty."""


class RestApi:
    """Answers every request on the REST port."""

    def __init__(
        self,
        core: Core[Model],
        predictor: Predictor,
        messages: Messages,
        metrics: Metrics,
        *,
        metrics_path: str | None,
        cors: bool = False,
    ) -> None:
        self._core = core
        self._predictor = predictor
        self._messages = messages
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._cors = cors

    def __call__(self, request: Request) -> Response:
        """The response to a request."""
        path, _, _ = request.target.partition("?")
        if path == self._metrics_path:
            return self._metrics_page(request.target)
        if not is_api_path(request.target):
            return _not_found()
        if self._cors and request.method == "OPTIONS":
            return Response(200, _CORS, b"")
        started = time.perf_counter_ns()
        model, verb = "", ""
        try:
            target = parse_path(request.method, request.target)
            # A status or metadata call counts too, but without a name of its own.
            model, verb = target.model, target.verb if request.method == "POST" else ""
            body = self._answer(request, target)
            code = Code.OK
        except ServingError as error:
            body, code = error_body(error.message), error.code
        if code is Code.OK:
            spent = (time.perf_counter_ns() - started) // 1000
            self._metrics.request_latency.add(spent, model, verb, "REST")
        self._metrics.request_count.add(model, code.name)
        return Response(HTTP_STATUS[code], (*_JSON, *_CORS) if self._cors else _JSON, body)

    def _answer(self, request: Request, target: Target) -> bytes:
        if request.method == "POST":
            if target.verb == "predict":
                return self._predict(target, _unpacked(request))
            if target.verb in ("classify", "regress"):
                raise unimplemented(f"{target.verb} is not offered by this TensorFlow-Serving-compatible server")
            raise malformed(request.method, request.target)
        if not target.model:
            raise invalid_argument("Missing model name in request.")
        if target.verb == "metadata":
            return self._metadata(target)
        status = self._messages.status(get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(target)))
        return _json(status).encode()

    def _predict(self, target: Target, body: bytes) -> bytes:
        with self._core.servable(_spec(target)) as model:
            request = read_request(body, lambda signature: _inputs(model, signature))
            done = self._predictor.predict(model, target.model, request.signature_name, request.inputs, timed=True)
            return write_reply(done.outputs, row=request.row)

    def _metadata(self, target: Target) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=_spec(target), metadata_field=[SIGNATURE_DEF]
        )
        reply = self._messages.metadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        reply.metadata[SIGNATURE_DEF].Unpack(signatures)
        spec, map_ = (_json(message, preserving_proto_field_name=True) for message in (reply.model_spec, signatures))
        return f'{{\n"model_spec":{spec},\n"metadata": {{"signature_def": {map_}}}\n}}\n'.encode()

    def _metrics_page(self, target: str) -> Response:
        headers = (("Content-Type", "text/plain"),)
        if target != self._metrics_path:
            text = f"Unexpected path: {target}. Should be {self._metrics_path}"
            return Response(400, headers, text.encode("latin-1"))
        return Response(200, headers, self._metrics.page().encode())


def _inputs(model: Model, signature_name: str) -> Inputs:
    name = signature_name or DEFAULT_SIGNATURE
    inputs = model.signature_inputs.get(name)
    if inputs is None:
        raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
    return inputs


def _spec(target: Target) -> Any:
    spec = model_pb2.ModelSpec(name=target.model)
    if target.version is not None:
        spec.version.value = target.version
    if target.label is not None:
        spec.version_label = target.label
    return spec


def _json(message: Any, *, preserving_proto_field_name: bool = False) -> str:
    text = json_format.MessageToJson(
        message,
        indent=1,
        always_print_fields_with_no_presence=True,
        preserving_proto_field_name=preserving_proto_field_name,
        ensure_ascii=False,
    )
    return f"{text}\n"


def _unpacked(request: Request) -> bytes:
    """The body, unpacked where it is gzip. What cannot be unpacked is no body at all."""
    if "gzip" not in request.headers.get("content-encoding", ""):
        return request.body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(request.body, _MAX_UNPACKED)
    except zlib.error:
        return b""
    return body if unpacker.eof else b""


def _not_found() -> Response:
    """What libevent, the original's HTTP library, says itself."""
    page = "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"
    return Response(404, (("Content-Type", "text/html"),), page.encode(), close=True)

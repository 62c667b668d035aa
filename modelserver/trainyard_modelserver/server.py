"""One server: from flags to open ports."""

import logging
import os
import threading
import time
from typing import Any

from . import warmup
from .batching import Batcher, read_parameters
from .config import metrics_path, read_model_config, single_model
from .core import Core, cpus
from .errors import ServingError, invalid_argument, unimplemented
from .flags import Options
from .grpc_server import GrpcServer, listen_addresses
from .http_server import HttpServer
from .messages import Messages
from .metrics import Metrics
from .model import Model, session_config
from .predict import Predictor
from .rest import RestApi

_log = logging.getLogger(__name__)

_REFUSED = (
    "enable_per_model_batching_parameters",
    "mixed_precision",
    "platform_config_file",
    "prefer_tflite_model",
    "ssl_config_file",
    "thread_pool_factory_config_file",
    "use_alts_credentials",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
)


def check(options: Options) -> None:
    """Refuse flags that contradict each other or ask for what is not offered here. Raises ServingError."""
    if not options.port and not options.grpc_socket_path:
        raise invalid_argument(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
        )
    if not options.model_base_path and not options.model_config_file:
        raise invalid_argument("Both server_options.model_base_path and server_options.model_config_file are empty!")
    if options.batching_parameters_file and not options.enable_batching:
        raise invalid_argument(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
        )
    for name in _REFUSED:
        if getattr(options, name):
            raise unimplemented(f"--{name} is not offered by this TensorFlow-Serving-compatible server.")


class Server:
    """A server in the making and at work."""

    def __init__(self, options: Options) -> None:
        """Prepare. Raises ServingError where the flags are refused."""
        check(options)
        self._options = options
        self._session_config = session_config(options)
        self.metrics = Metrics()
        self._core: Core[Model] = Core(options, self._load)
        self._predictor = Predictor(
            self.metrics,
            check_method_name=options.enable_signature_method_name_check,
            batcher=Batcher(read_parameters(options.batching_parameters_file, cpus=cpus()))
            if options.enable_batching
            else None,
        )
        self._messages = Messages(
            self._core, self._predictor, as_content=options.enable_serialization_as_tensor_content
        )
        self._grpc: GrpcServer | None = None
        self._http: HttpServer | None = None

    def start(self) -> None:
        """Load the models, however long that takes, then open the ports. Raises ServingError."""
        options = self._options
        file = options.model_config_file
        self._core.configure(
            read_model_config(file) if file else single_model(options.model_name, options.model_base_path)
        )
        if file and options.model_config_file_poll_wait_seconds > 0:
            self._core.poll_config(file, options.model_config_file_poll_wait_seconds)
        self._grpc = GrpcServer(options, self._messages, self.metrics, options.grpc_max_threads or 4 * cpus())
        addresses = listen_addresses(options)
        self._grpc.start(addresses)
        for address in addresses:
            _log.info("Running gRPC ModelServer at %s ...", address)
        self._start_rest()

    def wait(self) -> None:
        """Wait for ever: the process ends by a signal."""
        threading.Event().wait()

    def stop(self) -> None:
        """Close the ports and unload everything; for tests."""
        if self._http:
            self._http.stop()
        if self._grpc:
            self._grpc.stop()
        self._core.stop()

    def _start_rest(self) -> None:
        """What goes wrong here is only logged: gRPC is up by now."""
        options = self._options
        if not options.rest_api_port:
            return
        if options.rest_api_port == options.port:
            _log.error(
                "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API. "
                "Skipped exporting HTTP/REST API."
            )
            return
        api = RestApi(
            self._core,
            self._predictor,
            self._messages,
            self.metrics,
            metrics_path=metrics_path(options.monitoring_config_file),
            cors=options.rest_api_enable_cors_support,
        )
        host = os.environ.get("DEVCLUSTER_POD_IP") or "::"
        try:
            self._http = HttpServer(host, options.rest_api_port, api)
        except OSError as error:
            _log.error("Failed to start HTTP Server at localhost:%d: %s", options.rest_api_port, error)
            return
        self._http.start()
        _log.info("Exporting HTTP/REST API at:localhost:%d ...", options.rest_api_port)

    def _load(self, name: str, version: int, path: str) -> Model:
        """Load and warm up one version. Raises ServingError."""
        started = time.perf_counter_ns()
        try:
            model = Model(name, version, path, self._options, self._session_config)
        except ServingError:
            self.metrics.load_attempt_count.add(path, "fail")
            raise
        self.metrics.load_attempt_count.add(path, "success")
        self.metrics.load_latency.add(path, by=(time.perf_counter_ns() - started) // 1000)
        if self._options.enable_model_warmup:
            try:
                warmup.warm_up(
                    path,
                    self._options.num_request_iterations_for_warmup,
                    lambda request: self._warm(model, request),
                    self.metrics,
                )
            except BaseException:
                model.close()
                raise
        return model

    def _warm(self, model: Model, request: Any) -> None:
        self._messages.predict_on(model, request)

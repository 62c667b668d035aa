"""Messages that the tensorflow-serving-api package leaves out, by their published field numbers."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_BOOL = _Field.TYPE_BOOL
_PACKAGE = "tensorflow.serving"


def monitoring_config() -> Any:
    """An empty tensorflow.serving.MonitoringConfig."""
    file = descriptor_pb2.FileDescriptorProto(name="trainyard/monitoring_config.proto", package=_PACKAGE)
    file.syntax = "proto3"
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=_Field.TYPE_BOOL, label=_Field.LABEL_OPTIONAL)
    prometheus.field.add(name="path", number=2, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    config = file.message_type.add(name="MonitoringConfig")
    config.field.add(
        name="prometheus_config",
        number=1,
        type=_Field.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.PrometheusConfig",
        label=_Field.LABEL_OPTIONAL,
    )
    # A pool of its own: the default one would refuse these names beside a full set of stubs.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.MonitoringConfig"))()


_WRAPPED = (
    ("max_batch_size", 1),
    ("batch_timeout_micros", 2),
    ("max_enqueued_batches", 3),
    ("num_batch_threads", 4),
)


def batching_parameters() -> Any:
    """An empty tensorflow.serving.BatchingParameters; its numbers are in wrappers, as those of google.protobuf."""
    file = descriptor_pb2.FileDescriptorProto(name="trainyard/session_bundle_config.proto", package=_PACKAGE)
    file.syntax = "proto3"
    for name, kind in (("Int64Value", _Field.TYPE_INT64), ("StringValue", _Field.TYPE_STRING), ("BoolValue", _BOOL)):
        file.message_type.add(name=name).field.add(name="value", number=1, type=kind, label=_Field.LABEL_OPTIONAL)
    config = file.message_type.add(name="BatchingParameters")

    def wrapped(name: str, number: int, of: str) -> None:
        kind = f".{_PACKAGE}.{of}"
        config.field.add(
            name=name, number=number, type=_Field.TYPE_MESSAGE, type_name=kind, label=_Field.LABEL_OPTIONAL
        )

    for name, number in _WRAPPED:
        wrapped(name, number, "Int64Value")
    wrapped("thread_pool_name", 5, "StringValue")
    config.field.add(name="allowed_batch_sizes", number=6, type=_Field.TYPE_INT64, label=_Field.LABEL_REPEATED)
    config.field.add(name="pad_variable_length_inputs", number=7, type=_BOOL, label=_Field.LABEL_OPTIONAL)
    wrapped("enable_large_batch_splitting", 8, "BoolValue")
    wrapped("max_execution_batch_size", 9, "Int64Value")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.BatchingParameters"))()

"""Messages that the tensorflow-serving-api package leaves out, by their published field numbers."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
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

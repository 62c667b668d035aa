"""`spec.traffic`: who reaches the servers of a ModelService, and on which way."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trainyard_api.forms import HOST_PATTERN
from trainyard_api.meta import LABEL_KEYS, ApiModel, Label, LabelKey, LabelValue, Name, rule, rules

PeerLabels = Annotated[
    dict[LabelKey, LabelValue], Field(min_length=1, max_length=16, json_schema_extra=rules(LABEL_KEYS))
]


class Peer(ApiModel):
    """Pods that may send requests. Without namespaceLabels those of the service's own namespace."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.namespaceLabels) || has(self.podLabels)",
                "set namespaceLabels, podLabels or both; for all pods of a namespace, "
                "namespaceLabels with kubernetes.io/metadata.name",
            )
        )
    )
    namespace_labels: PeerLabels | None = Field(default=None, description="Labels of their namespace.")
    pod_labels: PeerLabels | None = Field(default=None, description="Labels of the pods. Absent: all of the namespace.")
    ports: list[Literal["rest", "grpc"]] = Field(
        default=["rest", "grpc"],
        min_length=1,
        max_length=2,
        description="Which ports they reach. Prometheus needs rest. Whoever reaches grpc may also unload a model.",
    )


Hostname = Annotated[str, Field(pattern=HOST_PATTERN, max_length=253)]


class Gateway(ApiModel):
    """A Gateway (gateway.networking.k8s.io) through which clients outside reach the model."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.grpcSectionName) || has(self.grpcHostname)",
                "grpcSectionName needs grpcHostname",
                ".grpcSectionName",
            ),
            rule(
                "!has(self.grpcHostname) || self.grpcHostname != self.hostname",
                "grpcHostname must differ from hostname: a listener takes one kind of route for a host",
                ".grpcHostname",
            ),
        )
    )
    name: Name = Field(description="Name of the Gateway.")
    namespace: Label | None = Field(default=None, description="Its namespace; absent: that of the service.")
    hostname: Hostname = Field(description="Host for REST, such as models.example.com.")
    section_name: Label | None = Field(default=None, description="Listener for REST; absent: all that fit.")
    grpc_hostname: Hostname | None = Field(
        default=None, description="Host for gRPC, one for each service. Absent: no gRPC through the Gateway."
    )
    grpc_section_name: Label | None = Field(default=None, description="Listener for gRPC; absent: all that fit.")


class Traffic(ApiModel):
    """Who reaches the servers."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.allowFrom) || size(self.allowFrom) == 0 || (has(self.networkPolicy) && self.networkPolicy)",
                "allowFrom needs networkPolicy: true; without it everybody reaches the servers",
                ".allowFrom",
            )
        )
    )
    gateway: Gateway | None = Field(
        default=None,
        description="Let clients in through a Gateway, which also gives a canary its exact share of the requests.",
    )
    network_policy: bool = Field(
        default=False,
        description="Shut the servers to all but the operator and allowFrom, by a NetworkPolicy. Your cluster's "
        "network must enforce it.",
    )
    allow_from: list[Peer] = Field(
        default=[],
        max_length=32,
        description="Who may send requests. Empty: all pods of the service's own namespace.",
    )

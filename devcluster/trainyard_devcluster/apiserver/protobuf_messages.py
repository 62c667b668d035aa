"""The protobuf messages of Kubernetes that clients send: field numbers, names and types. These never change.

Whole are those of metadata, configuration, leases, access and deletions; of the others there is what `kubectl create`
and `kubectl autoscale` write. A body with anything else is refused, never half understood.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One field."""

    name: str
    type: str
    """string, bytes, int, bool, time, quantity, intstr, raw, map:<type>, list:<type>, or a message's name.

    inline:<message> is a message whose fields stand in the JSON of the one around it.
    """


def _message(**fields: str) -> dict[int, Field]:
    """Fields written as `name="number type"`; without a type they are strings."""
    found = {}
    for name, text in fields.items():
        number, _, kind = text.partition(" ")
        found[int(number)] = Field(name, kind or "string")
    return found


MESSAGES: dict[str, dict[int, Field]] = {
    "Unknown": _message(typeMeta="1 TypeMeta", raw="2 raw"),
    "TypeMeta": _message(apiVersion="1", kind="2"),
    "ObjectMeta": _message(
        name="1", generateName="2", namespace="3", selfLink="4", uid="5", resourceVersion="6", generation="7 int",
        creationTimestamp="8 time", deletionTimestamp="9 time", deletionGracePeriodSeconds="10 int",
        labels="11 map:string", annotations="12 map:string", ownerReferences="13 list:OwnerReference",
        finalizers="14 list:string",
    ),
    "OwnerReference": _message(
        kind="1", name="3", uid="4", apiVersion="5", controller="6 bool", blockOwnerDeletion="7 bool"
    ),
    "Secret": _message(
        metadata="1 ObjectMeta", data="2 map:bytes", type="3", stringData="4 map:string", immutable="5 bool"
    ),
    "ConfigMap": _message(metadata="1 ObjectMeta", data="2 map:string", binaryData="3 map:bytes", immutable="4 bool"),
    "Namespace": _message(metadata="1 ObjectMeta", spec="2 NamespaceSpec", status="3 NamespaceStatus"),
    "NamespaceSpec": _message(finalizers="1 list:string"),
    "NamespaceStatus": _message(phase="1"),
    "ServiceAccount": _message(metadata="1 ObjectMeta", automountServiceAccountToken="4 bool"),
    "Lease": _message(metadata="1 ObjectMeta", spec="2 LeaseSpec"),
    "LeaseSpec": _message(
        holderIdentity="1", leaseDurationSeconds="2 int", acquireTime="3 time", renewTime="4 time",
        leaseTransitions="5 int",
    ),
    "DeleteOptions": _message(
        gracePeriodSeconds="1 int", preconditions="2 Preconditions", orphanDependents="3 bool", propagationPolicy="4",
        dryRun="5 list:string",
    ),
    "Preconditions": _message(uid="1", resourceVersion="2"),
    "Eviction": _message(metadata="1 ObjectMeta", deleteOptions="2 DeleteOptions"),
    "SelfSubjectAccessReview": _message(metadata="1 ObjectMeta", spec="2 SelfSubjectAccessReviewSpec"),
    "SelfSubjectAccessReviewSpec": _message(
        resourceAttributes="1 ResourceAttributes", nonResourceAttributes="2 NonResourceAttributes"
    ),
    "ResourceAttributes": _message(
        namespace="1", verb="2", group="3", version="4", resource="5", subresource="6", name="7"
    ),
    "NonResourceAttributes": _message(path="1", verb="2"),
    "TokenRequest": _message(metadata="1 ObjectMeta", spec="2 TokenRequestSpec"),
    "TokenRequestSpec": _message(
        audiences="1 list:string", boundObjectRef="3 BoundObjectReference", expirationSeconds="4 int"
    ),
    "BoundObjectReference": _message(kind="1", apiVersion="2", name="3", uid="4"),
    "SelfSubjectReview": _message(metadata="1 ObjectMeta"),
    "SelfSubjectRulesReview": _message(metadata="1 ObjectMeta", spec="2 SelfSubjectRulesReviewSpec"),
    "SelfSubjectRulesReviewSpec": _message(namespace="1"),
    "Role": _message(metadata="1 ObjectMeta", rules="2 list:PolicyRule"),
    "ClusterRole": _message(metadata="1 ObjectMeta", rules="2 list:PolicyRule"),
    "PolicyRule": _message(
        verbs="1 list:string", apiGroups="2 list:string", resources="3 list:string", resourceNames="4 list:string",
        nonResourceURLs="5 list:string",
    ),
    "RoleBinding": _message(metadata="1 ObjectMeta", subjects="2 list:Subject", roleRef="3 RoleRef"),
    "ClusterRoleBinding": _message(metadata="1 ObjectMeta", subjects="2 list:Subject", roleRef="3 RoleRef"),
    "Subject": _message(kind="1", apiGroup="2", name="3", namespace="4"),
    "RoleRef": _message(apiGroup="1", kind="2", name="3"),
    "ResourceQuota": _message(metadata="1 ObjectMeta", spec="2 ResourceQuotaSpec"),
    "ResourceQuotaSpec": _message(hard="1 map:quantity", scopes="2 list:string"),
    "PriorityClass": _message(
        metadata="1 ObjectMeta", value="2 int", globalDefault="3 bool", description="4", preemptionPolicy="5"
    ),
    "PodDisruptionBudget": _message(metadata="1 ObjectMeta", spec="2 PodDisruptionBudgetSpec"),
    "PodDisruptionBudgetSpec": _message(minAvailable="1 intstr", selector="2 LabelSelector", maxUnavailable="3 intstr"),
    "LabelSelector": _message(matchLabels="1 map:string"),
    "Service": _message(metadata="1 ObjectMeta", spec="2 ServiceSpec"),
    "ServiceSpec": _message(
        ports="1 list:ServicePort", selector="2 map:string", clusterIP="3", type="4", externalIPs="5 list:string",
        sessionAffinity="7", loadBalancerIP="8", loadBalancerSourceRanges="9 list:string", externalName="10",
        externalTrafficPolicy="11", healthCheckNodePort="12 int", publishNotReadyAddresses="13 bool",
        ipFamilyPolicy="17", clusterIPs="18 list:string", ipFamilies="19 list:string",
        allocateLoadBalancerNodePorts="20 bool", loadBalancerClass="21", internalTrafficPolicy="22",
    ),
    "ServicePort": _message(
        name="1", protocol="2", port="3 int", targetPort="4 intstr", nodePort="5 int", appProtocol="6"
    ),
    "Ingress": _message(metadata="1 ObjectMeta", spec="2 IngressSpec"),
    "IngressSpec": _message(
        defaultBackend="1 IngressBackend", tls="2 list:IngressTLS", rules="3 list:IngressRule", ingressClassName="4"
    ),
    "IngressTLS": _message(hosts="1 list:string", secretName="2"),
    "IngressRule": _message(host="1", value="2 inline:IngressRuleValue"),
    "IngressRuleValue": _message(http="1 HTTPIngressRuleValue"),
    "HTTPIngressRuleValue": _message(paths="1 list:HTTPIngressPath"),
    "HTTPIngressPath": _message(path="1", backend="2 IngressBackend", pathType="3"),
    "IngressBackend": _message(service="4 IngressServiceBackend"),
    "IngressServiceBackend": _message(name="1", port="2 ServiceBackendPort"),
    "ServiceBackendPort": _message(name="1", number="2 int"),
    "HorizontalPodAutoscaler": _message(metadata="1 ObjectMeta", spec="2 HorizontalPodAutoscalerSpec"),
    "HorizontalPodAutoscalerSpec": _message(
        scaleTargetRef="1 CrossVersionObjectReference", minReplicas="2 int", maxReplicas="3 int",
        metrics="4 list:MetricSpec",
    ),
    "CrossVersionObjectReference": _message(kind="1", name="2", apiVersion="3"),
    "MetricSpec": _message(type="1", resource="4 ResourceMetricSource"),
    "ResourceMetricSource": _message(name="1", target="2 MetricTarget"),
    "MetricTarget": _message(
        type="1", value="2 quantity", averageValue="3 quantity", averageUtilization="4 int"
    ),
    "Deployment": _message(metadata="1 ObjectMeta", spec="2 DeploymentSpec"),
    "DeploymentSpec": _message(replicas="1 int", selector="2 LabelSelector", template="3 PodTemplateSpec"),
    "Job": _message(metadata="1 ObjectMeta", spec="2 JobSpec"),
    "JobSpec": _message(
        parallelism="1 int", completions="2 int", activeDeadlineSeconds="3 int", selector="4 LabelSelector",
        manualSelector="5 bool", template="6 PodTemplateSpec", backoffLimit="7 int", ttlSecondsAfterFinished="8 int",
        completionMode="9", suspend="10 bool",
    ),
    "CronJob": _message(metadata="1 ObjectMeta", spec="2 CronJobSpec"),
    "CronJobSpec": _message(
        schedule="1", startingDeadlineSeconds="2 int", concurrencyPolicy="3", suspend="4 bool",
        jobTemplate="5 JobTemplateSpec", successfulJobsHistoryLimit="6 int", failedJobsHistoryLimit="7 int",
        timeZone="8",
    ),
    "JobTemplateSpec": _message(metadata="1 ObjectMeta", spec="2 JobSpec"),
    "PodTemplateSpec": _message(metadata="1 ObjectMeta", spec="2 PodSpec"),
    "PodSpec": _message(
        containers="2 list:Container", restartPolicy="3", terminationGracePeriodSeconds="4 int",
        activeDeadlineSeconds="5 int", dnsPolicy="6", nodeSelector="7 map:string", serviceAccountName="8",
        serviceAccount="9", nodeName="10", hostname="16", subdomain="17", schedulerName="19",
    ),
    "Container": _message(
        name="1", image="2", command="3 list:string", args="4 list:string", workingDir="5",
        ports="6 list:ContainerPort", env="7 list:EnvVar", terminationMessagePath="13", imagePullPolicy="14",
        terminationMessagePolicy="20",
    ),
    "ContainerPort": _message(name="1", hostPort="2 int", containerPort="3 int", protocol="4", hostIP="5"),
    "EnvVar": _message(name="1", value="2"),
}  # fmt: skip

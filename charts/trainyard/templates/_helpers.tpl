{{- define "trainyard.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- /* The prefix of all names: short enough for the longest suffix to fit into 63 characters. */ -}}
{{- define "trainyard.fullname" -}}
{{- $name := include "trainyard.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "trainyard.operator" -}}
{{- include "trainyard.fullname" . }}-operator
{{- end -}}

{{- define "trainyard.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "trainyard.operator" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* What selectors select by, so it never changes. */ -}}
{{- define "trainyard.identity" -}}
app.kubernetes.io/name: {{ include "trainyard.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "trainyard.labels" -}}
{{ include "trainyard.identity" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "trainyard.operatorSelector" -}}
{{ include "trainyard.identity" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{- /* Without the chart's version, so that an upgrade that changes nothing for the pod does not restart it. */ -}}
{{- define "trainyard.podLabels" -}}
{{ include "trainyard.operatorSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "trainyard.port" -}}
{{- default 8080 .Values.settings.port | int -}}
{{- end -}}

{{- define "trainyard.operatorLabels" -}}
{{ include "trainyard.labels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{- /* Takes a list: the root context and the image's values. */ -}}
{{- define "trainyard.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with default $root.Values.registry $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- define "trainyard.trainerGpuImage" -}}
{{- $tag := default (printf "%s-gpu" .Chart.AppVersion) .Values.trainerGpuImage.tag -}}
{{- include "trainyard.image" (list . (set (deepCopy .Values.trainerGpuImage) "tag" $tag)) -}}
{{- end -}}

{{- /* What the operator calls, and nothing else: operator/trainyard_operator/cluster/permissions.py. */ -}}
{{- define "trainyard.operatorRules" -}}
- apiGroups: [trainyard.dev]
  resources: [modelservices, trainingjobs]
  verbs: [get, list, watch]
- apiGroups: [trainyard.dev]
  resources: [modelservices/status, trainingjobs/status]
  verbs: [patch]
- apiGroups: [trainyard.dev]
  resources: [modelservices/finalizers, trainingjobs/finalizers]
  verbs: [update]
- apiGroups: [trainyard.dev]
  resources: [modelservices/scale]
  verbs: [patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [grpcroutes, httproutes]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, list, patch]
- apiGroups: [""]
  resources: [resourcequotas]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get]
{{- end -}}

{{- /* What has no namespace: left out where the operator serves some namespaces only. */ -}}
{{- define "trainyard.operatorClusterRules" -}}
- apiGroups: [trainyard.dev]
  resources: [trainingprofiles]
  verbs: [list]
- apiGroups: [""]
  resources: [nodes]
  verbs: [list]
- apiGroups: [scheduling.k8s.io]
  resources: [priorityclasses]
  verbs: [list]
- apiGroups: [node.k8s.io]
  resources: [runtimeclasses]
  verbs: [list]
{{- end -}}

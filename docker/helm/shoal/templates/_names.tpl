{{/* Names, labels and selectors of everything that the chart makes. */}}

{{/*
What all names begin with; at most 40 bytes. The longest name made of it, for a manager or a pool of four digits,
has 48: a StatefulSet's name must not exceed 52, since Kubernetes makes a label of it and of a hash of ten digits.
*/}}
{{- define "shoal.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- if gt (len $full) 40 -}}
{{- /* Cut, two long names could be the same one. */ -}}
{{- $full = printf "%s-%s" ($full | trunc 33 | trimSuffix "-") ($full | sha256sum | trunc 6) -}}
{{- end -}}
{{- $full -}}
{{- end -}}

{{- define "shoal.managerName" -}}{{ include "shoal.fullname" . }}-manager{{- end -}}
{{- define "shoal.frontendName" -}}{{ include "shoal.fullname" . }}-frontend{{- end -}}
{{- define "shoal.smokeName" -}}{{ include "shoal.fullname" . }}-smoke{{- end -}}
{{- define "shoal.adminName" -}}{{ include "shoal.fullname" . }}-admin{{- end -}}

{{- define "shoal.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "shoal.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What pods of this release have in common. */}}
{{- define "shoal.selectorOfAll" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Pods of one role. Takes `root` and `component`. */}}
{{- define "shoal.selector" -}}
{{ include "shoal.selectorOfAll" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Pods of one pool. Takes `root` and `pool`, the StatefulSet's name. */}}
{{- define "shoal.poolSelector" -}}
{{ include "shoal.selector" (dict "root" .root "component" "host") }}
shoal/pool: {{ .pool }}
{{- end -}}

{{/* Pods with an admin port. */}}
{{- define "shoal.adminSelector" -}}
{{ include "shoal.selectorOfAll" . }}
shoal/metrics: "true"
{{- end -}}

{{/*
Labels of objects, but not of pods and claims: those of a StatefulSet's claims cannot change, and pods are not to
start anew because the chart has another version.
*/}}
{{- define "shoal.labels" -}}
{{ include "shoal.selectorOfAll" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "shoal.componentLabels" -}}
{{ include "shoal.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

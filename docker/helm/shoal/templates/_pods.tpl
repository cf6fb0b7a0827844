{{/* What the pods of all roles have in common. */}}

{{- define "shoal.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* A number as the binary reads it. Helm keeps large ones as floats, and would write 1e+09. */}}
{{- define "shoal.plain" -}}
{{- if kindIs "float64" . -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* The head of a pod's spec. Takes `root` and the values of the role as `of`. */}}
{{- define "shoal.podHead" -}}
serviceAccountName: {{ include "shoal.serviceAccountName" .root }}
automountServiceAccountToken: false
# Variables of services would begin with SHOAL_, and be taken for settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .root.Values.runAsUser }}
  runAsUser: {{ include "shoal.plain" . }}
  {{- end }}
  {{- with .root.Values.runAsGroup }}
  runAsGroup: {{ include "shoal.plain" . }}
  {{- end }}
  {{- with .root.Values.fsGroup }}
  fsGroup: {{ include "shoal.plain" . }}
  # Otherwise each start would look at every file of the volume.
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "shoal.containerHead" -}}
image: {{ include "shoal.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Settings and other variables of a role. Takes the values of the role. */}}
{{- define "shoal.environment" -}}
- name: SHOAL_LOG
  value: {{ .logFilter | quote }}
{{- range $key, $value := .settings }}
- name: SHOAL_{{ upper $key }}
  value: {{ include "shoal.plain" $value | quote }}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Are the role's processes alive and ready? Takes the values of the role. */}}
{{- define "shoal.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: admin}
  {{- toYaml .startupProbe | nindent 2 }}
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  {{- toYaml .livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  {{- toYaml .readinessProbe | nindent 2 }}
{{- end -}}

{{/* Pods that a selector finds, over zones and nodes. Takes `spread`, and the selector's labels as `selector`. */}}
{{- define "shoal.spread" -}}
{{- $selector := .selector -}}
{{- $keys := dict "zones" "topology.kubernetes.io/zone" "nodes" "kubernetes.io/hostname" -}}
{{- $rules := list -}}
{{- range $by := list "zones" "nodes" -}}
{{- $how := index $.spread $by -}}
{{- if ne $how "off" -}}
{{- $rules = append $rules (dict "maxSkew" 1 "topologyKey" (index $keys $by) "whenUnsatisfiable" $how "nodeTaintsPolicy" "Honor" "labelSelector" (dict "matchLabels" (fromYaml $selector))) -}}
{{- end -}}
{{- end -}}
{{- with $rules -}}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

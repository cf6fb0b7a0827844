{{/* Parts of a host's pod. */}}

{{/* Where a host stands, as the downward API has it. Takes the pool's values. */}}
{{- define "shoal.zoneField" -}}
{{- index (dict "node" "spec.nodeName" "pod" "metadata.name" "topology" "metadata.labels['topology.kubernetes.io/zone']") .zone -}}
{{- end -}}

{{/* No two hosts of a cluster on one node, beside the affinities that users give. Takes `of` and `selector`. */}}
{{- define "shoal.hostAffinity" -}}
{{- $affinity := deepCopy .of.affinity -}}
{{- if ne .of.antiAffinity "off" -}}
{{- $anti := $affinity.podAntiAffinity | default dict -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (fromYaml .selector)) -}}
{{- if eq .of.antiAffinity "hard" -}}
{{- $key := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $_ := set $anti $key (append (index $anti $key | default list) $term) -}}
{{- else -}}
{{- $key := "preferredDuringSchedulingIgnoredDuringExecution" -}}
{{- $_ := set $anti $key (append (index $anti $key | default list) (dict "weight" 100 "podAffinityTerm" $term)) -}}
{{- end -}}
{{- $_ := set $affinity "podAntiAffinity" $anti -}}
{{- end -}}
{{- with $affinity -}}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The volume that a role keeps its data on. Takes `persistence` and `selector`. Nothing of it can change later. */}}
{{- define "shoal.claims" -}}
{{- with .persistence -}}
{{- if .enabled -}}
volumeClaimTemplates:
  - metadata:
      name: data
      labels:
        {{- $.selector | nindent 8 }}
      {{- with .annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      accessModes: [{{ .accessMode }}]
      {{- with .storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ .size }}
{{- end -}}
{{- end -}}
{{- end -}}

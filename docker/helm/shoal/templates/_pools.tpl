{{/*
The pools that there are, as a JSON list of: `key` (p1), `name` (of the StatefulSet, which is that of the pool too),
`replicas`, and `of`, the values of `hosts` with what is different in this pool.
*/}}
{{- define "shoal.pools" -}}
{{- $pools := list -}}
{{- range $n := untilStep 1 (int (add1 (int .Values.clusters))) 1 -}}
{{- $key := printf "p%d" $n -}}
{{- $own := index $.Values.pools $key | default dict -}}
{{- if not $own.removed -}}
{{- $of := mustMergeOverwrite (deepCopy $.Values.hosts) (omit (deepCopy $own) "removed" "hostsPerCluster") -}}
{{- $replicas := $own.hostsPerCluster | default $.Values.hostsPerCluster -}}
{{- $name := printf "%s-%s" (include "shoal.fullname" $) $key -}}
{{- $pools = append $pools (dict "key" $key "name" $name "replicas" $replicas "of" $of) -}}
{{- end -}}
{{- end -}}
{{- toJson $pools -}}
{{- end -}}

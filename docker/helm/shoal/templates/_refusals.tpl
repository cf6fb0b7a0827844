{{/* What values.schema.json cannot say: values that only make no sense together. Each text names the value. */}}
{{- define "shoal.refuse" -}}
{{- $v := .Values -}}

{{- range $key, $own := $v.pools -}}
{{- if gt (int (trimPrefix "p" $key)) (int $v.clusters) -}}
{{- fail (printf "pools.%s: there are only %d clusters; see clusters" $key (int $v.clusters)) -}}
{{- end -}}
{{- if lt (int ($own.hostsPerCluster | default $v.hostsPerCluster)) (int $v.hostsPerCluster) -}}
{{- fail (printf "pools.%s.hostsPerCluster: %d hosts would never become a cluster, since hostsPerCluster is %d" $key (int $own.hostsPerCluster) (int $v.hostsPerCluster)) -}}
{{- end -}}
{{- end -}}

{{- range fromJsonArray (include "shoal.pools" .) -}}
{{- if and (eq .of.zone "topology") (semverCompare "<1.35.0-0" $.Capabilities.KubeVersion.Version) -}}
{{- fail (printf "hosts.zone: pods know the zone of their node from Kubernetes 1.35 on, and this is %s; take node or pod" $.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}

{{- $frontend := $v.frontend -}}
{{- /* Beside sleep and drain: the longest wait of a receive, 20 s, and 10 s for what is being answered then. */ -}}
{{- $drains := div (add (dig "drain_ms" 2000 $frontend.settings | int) 999) 1000 -}}
{{- $takes := add $frontend.preStopSleepSeconds $drains 30 -}}
{{- if lt (int $frontend.terminationGracePeriodSeconds) (int $takes) -}}
{{- fail (printf "frontend.terminationGracePeriodSeconds: %d is less than the %d that preStopSleepSeconds, settings.drain_ms and 30 s for answers make" (int $frontend.terminationGracePeriodSeconds) (int $takes)) -}}
{{- end -}}
{{- with $frontend.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "frontend.autoscaling.maxReplicas: %d is less than minReplicas, %d" (int .maxReplicas) (int .minReplicas)) -}}
{{- end -}}
{{- if and .enabled (not (dig "requests" "cpu" "" $frontend.resources)) -}}
{{- fail "frontend.resources.requests.cpu: autoscaling measures by it, so it must be set" -}}
{{- end -}}
{{- end -}}

{{- with $v.monitoring.serviceMonitor -}}
{{- if gt (trimSuffix "s" .scrapeTimeout | int) (trimSuffix "s" .interval | int) -}}
{{- fail (printf "monitoring.serviceMonitor.scrapeTimeout: %s is more than interval, %s" .scrapeTimeout .interval) -}}
{{- end -}}
{{- end -}}
{{- if and $v.monitoring.serviceMonitor.enabled $v.networkPolicy.enabled (not $v.networkPolicy.monitoringFrom) -}}
{{- fail "networkPolicy.monitoringFrom: with monitoring.serviceMonitor it must say where Prometheus is, or nothing can be scraped" -}}
{{- end -}}
{{- end -}}

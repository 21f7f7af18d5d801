{{/* What values.schema.json can't say: values that don't go together. The Deployment, always there, includes it. */}}
{{- define "image-composer.checks" -}}
{{- $metrics := .Values.metrics -}}
{{- if and $metrics.serviceMonitor.enabled $metrics.podMonitor.enabled -}}
{{- fail "\n\nmetrics.serviceMonitor and metrics.podMonitor are both enabled: every metric would be read twice. Enable one of them." -}}
{{- end -}}
{{- if and $metrics.serviceMonitor.enabled (not $metrics.service.enabled) -}}
{{- fail "\n\nmetrics.serviceMonitor.enabled needs metrics.service.enabled. Without a Service, use metrics.podMonitor." -}}
{{- end -}}
{{- if and .Values.networkPolicy.builders.enabled (not (include "image-composer.buildNamespaces" .)) -}}
{{- fail "\n\nnetworkPolicy.builders.enabled: a policy lies in a namespace, and the chart must know which ones builds run in.\nName them in networkPolicy.builders.namespaces or settings.namespaces." -}}
{{- end -}}
{{- end -}}

{{/* Namespaces that builder pods' network policy goes to, with spaces. */}}
{{- define "image-composer.buildNamespaces" -}}
{{- default .Values.settings.namespaces .Values.networkPolicy.builders.namespaces | join " " -}}
{{- end -}}

{{/* What the names of all objects begin with. */}}
{{- define "image-composer.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that the operator's pods are found by; a Deployment's selector can never change. */}}
{{- define "image-composer.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of an object, out of (list context further-labels). What pods are found by, and what Helm finds its
objects by, can't be overridden. */}}
{{- define "image-composer.labels" -}}
{{- $context := index . 0 -}}
{{- $own := include "image-composer.selectorLabels" $context | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $context.Release.Service -}}
{{- $common := dict
  "app.kubernetes.io/version" $context.Chart.AppVersion
  "app.kubernetes.io/part-of" "image-composer"
  "helm.sh/chart" (printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
-}}
{{- merge (dict) $own (index . 1) $context.Values.commonLabels $common | toYaml -}}
{{- end -}}

{{/* Name of the operator's service account. */}}
{{- define "image-composer.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "image-composer.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Reference of a container image, out of (list image appVersion). A digest decides; a tag beside it is for people. */}}
{{- define "image-composer.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s%s@%s" $image.repository (ternary (printf ":%s" $image.tag) "" (ne $image.tag "")) $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The operator's settings file. */}}
{{- define "image-composer.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if not $settings.defaults.destination }}{{ $_ := unset $settings.defaults "destination" }}{{ end -}}
{{- $_ := set $settings "builderImage" (include "image-composer.image" (list .Values.builder.image .Chart.AppVersion)) -}}
{{- $_ := set $settings "builderImagePullPolicy" .Values.builder.image.pullPolicy -}}
{{- $_ := set $settings "metricsPort" 8080 -}}
{{- toYaml $settings -}}
{{- end -}}

{{/*
What the operator may do where it builds. No Secrets: credentials reach builder pods by the kubelet, and the operator
never sees any. Nothing that isn't used: tests/unit/chart holds the list against docs/operator.md.
*/}}
{{- define "image-composer.rules" -}}
# The ImageBuilds; `delete` for those whose ttlAfterFinished is over, `patch` for the finalizer.
- apiGroups: [imagecomposer.dev]
  resources: [imagebuilds]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [imagecomposer.dev]
  resources: [imagebuilds/status]
  verbs: [patch]
# Jobs that block their owner's deletion may be made only by who may update its finalizers.
- apiGroups: [imagecomposer.dev]
  resources: [imagebuilds/finalizers]
  verbs: [update]
# One Job a build, or for removing what was published.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
# How far they are; the pods themselves are the Job controller's.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# Why a pod doesn't start is said in events; so is what becomes of an ImageBuild.
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]
# Lock files (spec.lockRef), and documents that images extend.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
{{- end -}}

{{- define "gabion.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Room is left for the longest suffix. The word gabion is always there: the Deployment of another chart in the same
     release has an immutable selector, so ours must not have its name. */}}
{{- define "gabion.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- $full := .Values.fullnameOverride }}
{{- if not $full }}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- end }}
{{- if contains "gabion" $full }}
{{- $full | trunc 55 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-gabion" ($full | trunc 48 | trimSuffix "-") }}
{{- end }}
{{- end }}

{{/* As External Secrets Operator's chart names it in a release of this name, because trust policies of IAM name it. */}}
{{- define "gabion.serviceAccountName" -}}
{{- if .Values.serviceAccount.name }}
{{- .Values.serviceAccount.name }}
{{- else if not .Values.serviceAccount.create }}
{{- "default" }}
{{- else if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $chart := ternary "gabion" "external-secrets" (contains "gabion" .Release.Name) }}
{{- $name := .Values.nameOverride | default $chart }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "gabion.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- define "gabion.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gabion.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Common labels never replace one that a selector needs. */}}
{{- define "gabion.labels" -}}
{{- $own := include "gabion.selectorLabels" . | fromYaml }}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- $_ := set $own "helm.sh/chart" $chart }}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $own "app.kubernetes.io/part-of" "gabion" }}
{{- toYaml (merge $own (.Values.commonLabels | default dict)) }}
{{- end }}

{{- define "gabion.isOpenShift" -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" }}true{{ end }}
{{- end }}

{{/* The namespace to which everything is restricted, or nothing. */}}
{{- define "gabion.scope" -}}
{{- if .Values.scopedNamespace }}
{{- .Values.scopedNamespace }}
{{- else if .Values.scopedRBAC }}
{{- .Release.Namespace }}
{{- end }}
{{- end }}

{{- define "gabion.hardening" -}}
{{- if kindIs "bool" .Values.hardening.enabled }}
{{- if .Values.hardening.enabled }}true{{ end }}
{{- else if not (include "gabion.scope" .) }}true{{ end }}
{{- end }}

{{/* A ServiceMonitor is wanted and its definition is there, as far as that is asked for. */}}
{{- define "gabion.serviceMonitor" -}}
{{- $there := has "monitoring.coreos.com/v1/ServiceMonitor" .Capabilities.APIVersions }}
{{- $mode := .Values.serviceMonitor.renderMode }}
{{- if .Values.serviceMonitor.enabled }}
{{- if and (eq $mode "failIfMissing") (not $there) }}
{{- fail "serviceMonitor.renderMode: the cluster does not know ServiceMonitor: install the Prometheus operator first, or set skipIfMissing" }}
{{- end }}
{{- if or $there (ne $mode "skipIfMissing") }}true{{ end }}
{{- end }}
{{- end }}

{{/* The objects of a file in files/rbac, which is a copy of config/, under the names of this release. */}}
{{- define "gabion.rbac" -}}
{{- $root := .root }}
{{- $v := $root.Values }}
{{- $full := include "gabion.fullname" $root }}
{{- $namespaces := dict "gabion-system" (include "gabion.namespace" $root) "gabion-probe" $v.probeNamespace "team-a" (include "gabion.scope" $root) }}
{{- $aggregate := dict "view" $v.rbac.aggregateToView "edit" $v.rbac.aggregateToEdit "admin" $v.rbac.aggregateToAdmin }}
{{- range $text := regexSplit "(?m)^---\\s*$" ($root.Files.Get (printf "files/rbac/%s" .file)) -1 }}
{{- $object := fromYaml $text }}
{{- if and $object.kind (or $v.rbac.create (has $object.kind (list "Namespace" "ResourceQuota" "ValidatingAdmissionPolicy" "ValidatingAdmissionPolicyBinding"))) }}
{{- $meta := $object.metadata }}
{{- if eq $object.kind "Namespace" }}
{{- $_ := set $meta "name" (get $namespaces $meta.name) }}
{{- else if hasPrefix "gabion" $meta.name }}
{{- $_ := set $meta "name" (printf "%s%s" $full (trimPrefix "gabion" $meta.name)) }}
{{- end }}
{{- if and $object.spec (hasKey ($object.spec | default dict) "policyName") }}
{{- $_ := set $object.spec "policyName" $meta.name }}
{{- end }}
{{- if $meta.namespace }}
{{- $_ := set $meta "namespace" (get $namespaces $meta.namespace | default $meta.namespace) }}
{{- end }}
{{- range $role, $wanted := $aggregate }}
{{- if not $wanted }}
{{- $_ := unset $meta.labels (printf "rbac.authorization.k8s.io/aggregate-to-%s" $role) }}
{{- end }}
{{- end }}
{{- $_ := set $meta "labels" (merge (include "gabion.labels" $root | fromYaml) $meta.labels) }}
{{- if eq $object.kind "ValidatingAdmissionPolicy" }}
{{- $account := printf "system:serviceaccount:%s:%s" (include "gabion.namespace" $root) (include "gabion.serviceAccountName" $root) }}
{{- range $object.spec.matchConditions }}
{{- $_ := set . "expression" (replace "system:serviceaccount:gabion-system:gabion" $account .expression) }}
{{- end }}
{{- else if eq $object.kind "ValidatingAdmissionPolicyBinding" }}
{{- $_ := set $object.spec "policyName" $meta.name }}
{{- end }}
{{- if $object.roleRef }}
{{- $_ := set $object.roleRef "name" $meta.name }}
{{- $subject := dict "kind" "ServiceAccount" "name" (include "gabion.serviceAccountName" $root) "namespace" (include "gabion.namespace" $root) }}
{{- $_ := set $object "subjects" (list $subject) }}
{{- end }}
{{- if and $object.rules (not $v.rbac.serviceAccountTokenCreate) }}
{{- $rules := list }}
{{- range $object.rules }}
{{- if not (has "serviceaccounts/token" .resources) }}{{ $rules = append $rules . }}{{ end }}
{{- end }}
{{- $_ := set $object "rules" $rules }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}
{{- end }}

{{/* What cannot be meant. Each refusal names the key and the way out. */}}
{{- define "gabion.refuse" -}}
{{- $table := .Files.Get "eso-values.json" | fromJson }}
{{- range $path, $why := $table.refused }}
{{- $found := dict "value" $.Values }}
{{- range $part := splitList "." $path }}
{{- $inner := dict }}
{{- if kindIs "map" $found.value }}
{{- $inner = get $found.value $part }}
{{- end }}
{{- $_ := set $found "value" $inner }}
{{- end }}
{{- if eq (toString $found.value) "true" }}
{{- fail (printf "%s: %s" $path $why) }}
{{- end }}
{{- end }}
{{- range $path, $repository := dict "image.repository" .Values.image.repository "global.repository" .Values.global.repository }}
{{- if and (hasSuffix "external-secrets" $repository) (ne "default" (include "gabion.imageOfESO" (dict "path" $path "root" $))) }}
{{- fail (printf "%s: %s is External Secrets Operator's image, which does not know Gabion's flags: set it to a mirror of ghcr.io/gabion-dev/gabion, or remove it" $path $repository) }}
{{- end }}
{{- end }}
{{- if and (not .Values.secrets.enabled) (not (include "gabion.hardening" .)) }}
{{- fail "secrets.enabled and hardening.enabled are both off, so there is nothing to run: switch one of them on" }}
{{- end }}
{{- if and (include "gabion.scope" .) (include "gabion.hardening" .) }}
{{- fail "hardening.enabled: hardening needs the whole cluster, and scopedNamespace or scopedRBAC restrict this release to one namespace: remove it, or install a second release for hardening" }}
{{- end }}
{{- if and (not .Values.createOperator) (not .Values.installCRDs) (not .Values.extraObjects) }}
{{- fail "createOperator and installCRDs are both false, so there is nothing to install: switch one of them on, or uninstall the release" }}
{{- end }}
{{- end }}

{{/* External Secrets Operator's public image without a tag is the default of its chart, which whoever copies all of
     its values has: it says nothing, so ours is used and the key is named as without effect. */}}
{{- define "gabion.imageOfESO" -}}
{{- $image := .root.Values.image }}
{{- $public := list "ghcr.io/external-secrets/external-secrets" "oci.external-secrets.io/external-secrets/external-secrets" }}
{{- if and (eq .path "image.repository") (has $image.repository $public) (not $image.tag) (not $image.digest) }}default{{ end }}
{{- end }}

{{- define "gabion.image" -}}
{{- $repository := .Values.global.repository | default .Values.image.repository }}
{{- if include "gabion.imageOfESO" (dict "path" "image.repository" "root" .) }}
{{- $repository = .Values.global.repository | default "ghcr.io/gabion-dev/gabion" }}
{{- end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* The keys that nothing reads, as a JSON list: those of ESO's that have no effect here, and those that nobody knows. */}}
{{- define "gabion.ignored" -}}
{{- $table := .Files.Get "eso-values.json" | fromJson }}
{{- $known := dict }}
{{- $parents := dict }}
{{- range $path := concat $table.same $table.own (keys $table.noEffect) }}
{{- $_ := set $known $path "used" }}
{{- $parts := splitList "." $path }}
{{- range $i, $_ := $parts }}
{{- $_ := set $parents (join "." (slice $parts 0 $i)) true }}
{{- end }}
{{- end }}
{{- range $path, $why := $table.noEffect }}
{{- $_ := set $known $path "ignored" }}
{{- end }}
{{- $out := dict "list" (list) }}
{{- include "gabion.walk" (dict "node" .Values "path" "" "known" $known "parents" $parents "out" $out) }}
{{- if include "gabion.imageOfESO" (dict "path" "image.repository" "root" .) }}
{{- $_ := set $out "list" (append $out.list "image.repository") }}
{{- end }}
{{- $all := sortAlpha $out.list }}
{{- if gt (len $all) 100 }}
{{- $all = append (slice $all 0 100) (printf "and %d more" (sub (len $all) 100)) }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{- define "gabion.walk" -}}
{{- range $key, $value := .node }}
{{- $path := ternary $key (printf "%s.%s" $.path $key) (eq $.path "") }}
{{- $use := get $.known $path }}
{{- if eq $use "used" }}
{{- else if and (not $use) (kindIs "map" $value) (hasKey $.parents $path) }}
{{- include "gabion.walk" (dict "node" $value "path" $path "known" $.known "parents" $.parents "out" $.out) }}
{{- else if not (and (eq $path "global") (not $value)) }}
{{- $_ := set $.out "list" (append $.out.list ($path | trunc 120)) }}
{{- end }}
{{- end }}
{{- end }}

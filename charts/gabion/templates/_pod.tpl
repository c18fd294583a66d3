{{/* Fields of a security context that OpenShift assigns are left to it. */}}
{{- define "gabion.securityContext" -}}
{{- $mode := .root.Values.global.compatibility.openshift.adaptSecurityContext }}
{{- $context := omit .context "enabled" }}
{{- if or (eq $mode "force") (and (eq $mode "auto") (include "gabion.isOpenShift" .root)) }}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{- define "gabion.elects" -}}
{{- /* A rolling update overlaps two pods even with one replica. */}}
{{- $rolling := ne (get (.Values.strategy | default dict) "type" | default "Recreate") "Recreate" }}
{{- if or .Values.leaderElect (gt (int .Values.replicaCount) 1) $rolling }}true{{ end }}
{{- end }}

{{- define "gabion.healthPort" -}}
{{- $spec := .Values.livenessProbe.spec | default dict }}
{{- $handler := $spec.httpGet | default dict }}
{{- if and (hasKey $handler "port") (not (kindIs "string" $handler.port)) }}
{{- int $handler.port }}
{{- else }}
{{- int ($spec.port | default 8081) }}
{{- end }}
{{- end }}

{{- define "gabion.probe" -}}
{{- $own := dict "httpGet" (dict "path" .path "port" "health") }}
{{- toYaml (merge $own (omit (.spec | default dict) "address" "port" "httpGet")) }}
{{- end }}

{{- define "gabion.args" -}}
{{- $v := .Values }}
{{- $args := list "run" }}
{{- $scope := include "gabion.scope" . }}
{{- if include "gabion.elects" . }}{{ $args = append $args "--enable-leader-election" }}{{ end }}
{{- $texts := dict
  "leader-election-id" $v.leaderElectionID
  "leader-election-lease-duration" $v.leaderElectionLeaseDuration
  "leader-election-renew-deadline" $v.leaderElectionRenewDeadline
  "leader-election-retry-period" $v.leaderElectionRetryPeriod
  "namespace" $scope
  "controller-class" $v.controllerClass
  "store-requeue-interval" $v.storeRequeueInterval
  "refresh-heartbeat" $v.refreshHeartbeat
  "ambient-credentials" $v.ambientCredentials
  "per-object-metrics" $v.perObjectMetrics
  "protected-namespaces" (join "," ($v.protectedNamespaces | default list))
}}
{{- range $flag, $value := $texts }}
{{- if $value }}{{ $args = append $args (printf "--%s=%s" $flag $value) }}{{ end }}
{{- end }}
{{- if not (kindIs "invalid" $v.concurrency) }}{{ $args = append $args (printf "--concurrency=%d" (int $v.concurrency)) }}{{ end }}
{{- if not (kindIs "invalid" $v.writeConcurrency) }}{{ $args = append $args (printf "--write-concurrency=%d" (int $v.writeConcurrency)) }}{{ end }}
{{- if $v.adoptUnmanaged }}{{ $args = append $args "--adopt-unmanaged" }}{{ end }}
{{- if not $v.processClusterExternalSecret }}{{ $args = append $args "--enable-cluster-external-secret-reconciler=false" }}{{ end }}
{{- if not $v.processClusterPushSecret }}{{ $args = append $args "--enable-cluster-push-secret-reconciler=false" }}{{ end }}
{{- if and $v.processSecretRotation $v.secrets.enabled (not $v.scopedRBAC) }}{{ $args = append $args "--enable-secret-rotation" }}{{ end }}
{{- if and $v.rollouts.enabled (not $v.scopedRBAC) }}{{ $args = append $args "--enable-rollouts" }}{{ end }}
{{- if and $v.pullSecretSources (include "gabion.hardening" .) }}{{ $args = append $args (printf "--pull-secret-sources=%s" (join "," $v.pullSecretSources)) }}{{ end }}
{{- if not $v.processPushSecret }}{{ $args = append $args "--enable-push-secret-reconciler=false" }}{{ end }}
{{- if or $v.scopedRBAC (not $v.processClusterStore) }}{{ $args = append $args "--enable-cluster-store-reconciler=false" }}{{ end }}
{{- if not $v.processSecretStore }}{{ $args = append $args "--enable-secret-store-reconciler=false" }}{{ end }}
{{- if not $v.secrets.enabled }}{{ $args = append $args "--enable-secrets=false" }}{{ end }}
{{- if not (include "gabion.hardening" .) }}
{{- $args = append $args "--enable-hardening=false" }}
{{- else if ne $v.probeNamespace "gabion-probe" }}
{{- $args = append $args (printf "--probe-namespace=%s" $v.probeNamespace) }}
{{- end }}
{{- if ne (int $v.metrics.listen.port) 8080 }}{{ $args = append $args (printf "--metrics-addr=:%d" (int $v.metrics.listen.port)) }}{{ end }}
{{- $address := ($v.livenessProbe.spec | default dict).address | default "" }}
{{- $port := include "gabion.healthPort" . }}
{{- if or $address (ne $port "8081") }}{{ $args = append $args (printf "--health-addr=%s:%s" $address $port) }}{{ end }}
{{- range $flag, $value := $v.extraArgs }}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") }}
{{- $args = append $args (printf "--%s" $flag) }}
{{- else if kindIs "float64" $value }}
{{- $args = append $args (printf "--%s=%s" $flag (toJson $value)) }}
{{- else }}
{{- $args = append $args (printf "--%s=%s" $flag (toString $value)) }}
{{- end }}
{{- end }}
{{- toYaml $args }}
{{- end }}

{{/* A variable of the user's replaces ours of the same name: one name twice is an error of server-side apply. */}}
{{- define "gabion.env" -}}
{{- $level := .Values.log.level }}
{{- if has $level (list "dpanic" "panic" "fatal") }}{{ $level = "error" }}{{ end }}
{{- $field := dict "fieldRef" (dict "fieldPath" "metadata.name") }}
{{- $own := list (dict "name" "LOG_LEVEL" "value" $level) (dict "name" "LOG_FORMAT" "value" "json") }}
{{- $own = append $own (dict "name" "POD_NAME" "valueFrom" $field) }}
{{- $own = append $own (dict "name" "GABION_OPERATOR_NAMESPACE" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace"))) }}
{{- $ignored := include "gabion.ignored" . | fromJsonArray }}
{{- if $ignored }}
{{- $own = append $own (dict "name" "GABION_IGNORED_VALUES" "value" (join "," $ignored)) }}
{{- end }}
{{- $given := list }}
{{- range .Values.extraEnv }}{{ $given = append $given .name }}{{ end }}
{{- $all := list }}
{{- range $own }}
{{- if not (has .name $given) }}{{ $all = append $all . }}{{ end }}
{{- end }}
{{- toYaml (concat $all (.Values.extraEnv | default list)) }}
{{- end }}

{{- define "gabion.spread" -}}
{{- $constraints := .Values.topologySpreadConstraints | default .Values.global.topologySpreadConstraints }}
{{- if not $constraints }}
{{- $constraints = list (dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway") }}
{{- end }}
{{- $selector := dict "matchLabels" (include "gabion.selectorLabels" . | fromYaml) }}
{{- $all := list }}
{{- range $constraints }}{{ $all = append $all (ternary . (set (deepCopy .) "labelSelector" $selector) (hasKey . "labelSelector")) }}{{ end }}
{{- toYaml $all }}
{{- end }}

{{- define "gabion.podSpec" -}}
{{- $v := .Values }}
{{- with $v.imagePullSecrets | default $v.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
serviceAccountName: {{ include "gabion.serviceAccountName" . }}
automountServiceAccountToken: {{ $v.serviceAccount.automount }}
enableServiceLinks: false
terminationGracePeriodSeconds: 15
nodeSelector: {{- toYaml (merge (deepCopy ($v.nodeSelector | default dict)) ($v.global.nodeSelector | default dict) (dict "kubernetes.io/os" "linux" "kubernetes.io/arch" "amd64")) | nindent 2 }}
topologySpreadConstraints: {{- include "gabion.spread" . | nindent 2 }}
{{- if $v.podSecurityContext.enabled }}
securityContext: {{- include "gabion.securityContext" (dict "context" $v.podSecurityContext "root" .) | nindent 2 }}
{{- end }}
{{- with $v.affinity | default $v.global.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations | default $v.global.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.hostAliases | default $v.global.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if kindIs "bool" $v.hostUsers }}
hostUsers: {{ $v.hostUsers }}
{{- end }}
{{- if $v.hostNetwork }}
hostNetwork: true
{{- end }}
{{- range $field := list "dnsPolicy" "dnsConfig" "priorityClassName" "schedulerName" "runtimeClassName" }}
{{- with get $v $field }}
{{ $field }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- with $v.extraInitContainers }}
initContainers: {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
containers:
  - name: gabion
    image: {{ include "gabion.image" . | quote }}
    imagePullPolicy: {{ $v.image.pullPolicy }}
    args: {{- include "gabion.args" . | nindent 6 }}
    env: {{- include "gabion.env" . | nindent 6 }}
    ports:
      - name: metrics
        containerPort: {{ $v.metrics.listen.port }}
      - name: health
        containerPort: {{ include "gabion.healthPort" . }}
    startupProbe:
      httpGet:
        path: /healthz
        port: health
      periodSeconds: 1
      failureThreshold: 30
    livenessProbe: {{- include "gabion.probe" (dict "path" "/healthz" "spec" $v.livenessProbe.spec) | nindent 6 }}
    readinessProbe: {{- include "gabion.probe" (dict "path" "/readyz" "spec" $v.readinessProbe.spec) | nindent 6 }}
    resources: {{- toYaml ($v.resources | default dict) | nindent 6 }}
    {{- if $v.securityContext.enabled }}
    securityContext: {{- include "gabion.securityContext" (dict "context" $v.securityContext "root" .) | nindent 6 }}
    {{- end }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- with $v.extraVolumeMounts }}{{ toYaml . | nindent 6 }}{{ end }}
  {{- with $v.extraContainers }}{{ toYaml . | nindent 2 }}{{ end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 64Mi
  {{- with $v.extraVolumes }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

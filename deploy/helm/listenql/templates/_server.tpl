{{- /* The path of all URLs, with a slash at its end. */}}
{{- define "listenql.path" -}}
{{- printf "/%s/" (index .Values.options "base-path" | default "" | trimAll "/") | replace "//" "/" }}
{{- end }}

{{- /* An option as an argument, or as several: flags of a list or a table add up. A number is written as in JSON, since 2000000 would
otherwise become 2e+06. */}}
{{- define "listenql.argument" -}}
{{- $name := index . 0 }}
{{- $value := index . 1 }}
{{- if kindIs "slice" $value }}
{{- range $value }}
- {{ printf "--%s=%s" $name . | toJson }}
{{- end }}
{{- else if kindIs "map" $value }}
{{- range $key, $items := $value }}
- {{ printf "--%s=%s=%s" $name $key (join "," $items) | toJson }}
{{- end }}
{{- else if kindIs "string" $value }}
- {{ printf "--%s=%s" $name $value | toJson }}
{{- else }}
- {{ printf "--%s=%s" $name (toJson $value) | toJson }}
{{- end }}
{{- end }}

{{- define "listenql.arguments" -}}
- --drain={{ .Values.drainSeconds }}s
- --shutdown-timeout={{ .Values.shutdownTimeoutSeconds }}s
{{- if .Values.metrics.enabled }}
- --metrics-port={{ .Values.metrics.port }}
{{- end }}
{{- if and .Values.ingress.enabled .Values.ingress.hosts (not (hasKey .Values.options "url-base")) }}
- {{ printf "--url-base=%s://%s" (ternary "https" "http" (not (empty .Values.ingress.tls))) (first .Values.ingress.hosts) | toJson }}
{{- end }}
{{- range $name, $value := .Values.options }}
{{- include "listenql.argument" (list $name $value) }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ toJson . }}
{{- end }}
{{- end }}

{{- /* The heap in MiB: as given, or three quarters of the memory's limit. Nothing if there is no limit. */}}
{{- define "listenql.heap" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString }}
{{- if .Values.heapMegabytes }}
{{- int .Values.heapMegabytes }}
{{- else if regexMatch "^[0-9]+Gi$" $limit }}
{{- div (mul (trimSuffix "Gi" $limit | int) 1024 3) 4 }}
{{- else if regexMatch "^[0-9]+Mi$" $limit }}
{{- div (mul (trimSuffix "Mi" $limit | int) 3) 4 }}
{{- else if $limit }}
{{- fail (printf "resources.limits.memory is %s: write it in Mi or Gi, or set heapMegabytes" $limit) }}
{{- end }}
{{- end }}

{{- /* What values.schema.json cannot say. */}}
{{- define "listenql.check" -}}
{{- if ge (int .Values.drainSeconds) (int .Values.shutdownTimeoutSeconds) }}
{{- fail "drainSeconds must be less than shutdownTimeoutSeconds: the server needs time to stop after the drain" }}
{{- end }}
{{- if not .Values.metrics.enabled }}
{{- if .Values.autoscaling.enabled }}
{{- fail "autoscaling needs metrics: set metrics.enabled, or set autoscaling.enabled to false" }}
{{- end }}
{{- if .Values.metrics.podMonitor.enabled }}
{{- fail "metrics.podMonitor needs metrics: set metrics.enabled" }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.hosts names no host" }}
{{- end }}
{{- end }}

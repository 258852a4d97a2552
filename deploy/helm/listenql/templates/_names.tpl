{{- define "listenql.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* The labels that tell the pods of this release from all others. */}}
{{- define "listenql.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "listenql.labels" -}}
{{ include "listenql.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "listenql.secretName" -}}
{{- .Values.secret.name | default (include "listenql.fullname" .) }}
{{- end }}

{{- /* Nothing for the account of the namespace. */}}
{{- define "listenql.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "listenql.fullname" .) "" .Values.serviceAccount.create) }}
{{- end }}

{{- define "listenql.image" -}}
{{- $reference := printf ":%s" (.Values.image.tag | default .Chart.AppVersion) }}
{{- if .Values.image.digest }}
{{- $reference = printf "@%s" .Values.image.digest }}
{{- end }}
{{- .Values.image.repository }}{{ $reference }}
{{- end }}

{{- /* Namespaces by their names, as peers of a network policy. An empty list of peers would allow all, so the callers leave out the rule. */}}
{{- define "listenql.namespaces" -}}
{{- range . }}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . }}
{{- end }}
{{- end }}

{{- define "surematch.name" -}}
{{- if contains "surematch" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-surematch" (.Release.Name | trunc 40 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "surematch.selector" -}}
app.kubernetes.io/name: surematch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "surematch.labels" -}}
{{ include "surematch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "surematch.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{- define "surematch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* What values can't say by their schema: one of two things must be given. */}}
{{- define "surematch.check" -}}
{{- if and (not .Values.keys.secret) (not .Values.keys.allowAnonymous) }}
{{- fail "nobody could ask: name a Secret in keys.secret, or set keys.allowAnonymous=true" }}
{{- end }}
{{- if and (eq .Values.bundle.source "volume") (not .Values.bundle.volume.claim) }}
{{- fail "no bundle: name a claim in bundle.volume.claim, or set bundle.source=objectStore" }}
{{- end }}
{{- if and (eq .Values.bundle.source "objectStore") (not (and .Values.bundle.objectStore.from .Values.bundle.objectStore.name)) }}
{{- fail "no bundle: set bundle.objectStore.from and bundle.objectStore.name" }}
{{- end }}
{{- end }}

{{- /* The labels of an object of ours; the argument is its component, or nothing. */ -}}
{{- define "evenkeel.labels" -}}
app.kubernetes.io/name: evenkeel
{{- with . }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "evenkeel.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "evenkeel.port" -}}
{{ .Values.settings.port | default 10250 }}
{{- end }}

{{- define "evenkeel.healthPort" -}}
{{ .Values.settings.health_port | default 8080 }}
{{- end }}

{{- define "evenkeel.xdsPort" -}}
{{ dig "sidecar" "xds_port" 18000 .Values.settings }}
{{- end }}

{{- /* How two Pods of one component find that they would stand on one node. */ -}}
{{- define "evenkeel.antiAffinity" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "evenkeel.labels" . | nindent 12 }}
{{- end }}

{{- /* One rule of spreading: a dict of component, key and whether it is required. */ -}}
{{- define "evenkeel.spread" -}}
- topologyKey: {{ .key }}
  maxSkew: 1
  whenUnsatisfiable: {{ .required | ternary "DoNotSchedule" "ScheduleAnyway" }}
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{- include "evenkeel.labels" .component | nindent 6 }}
{{- end }}

{{- define "evenkeel.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "evenkeel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "evenkeel.ownNamespace" -}}
- name: EVENKEEL_SIDECAR_OWN_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end }}

{{- define "evenkeel.livenessProbes" -}}
startupProbe:
  httpGet:
    path: /livez
    port: http
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet:
    path: /livez
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{- define "evenkeel.settingsFile" -}}
/etc/evenkeel/settings/settings.yaml
{{- end }}

{{- /* A rollout when the settings change: they are read once, at the start. */ -}}
{{- define "evenkeel.settingsDigest" -}}
{{- with .Values.settings }}
evenkeel.dev/settings-digest: {{ toYaml . | sha256sum }}
{{- end }}
{{- end }}

{{- /* The CA for a Secret of the operator's own. For the other modes somebody writes it in the cluster. */ -}}
{{- define "evenkeel.caBundle" -}}
{{- with .Values.certificate -}}
{{- if and (eq .mode "secret") .caBundle }}
caBundle: {{ .caBundle | b64enc }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "evenkeel.caInjection" -}}
{{- if eq .Values.certificate.mode "cert-manager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/evenkeel-webhook
{{- end -}}
{{- end }}

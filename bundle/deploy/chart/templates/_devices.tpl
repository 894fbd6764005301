{{/* What hands out devices: its words, and what it needs of a node beside its network, with that /sys, and /run. */}}
{{- define "braid.devices.words" -}}
{{- $devices := .Values.devices }}
{{- $words := list (printf "--%s=%s/config.json" .sriov (ternary "/etc/braid/devices" "/etc/pcidp" (ne $devices.config ""))) }}
{{- if $devices.rdmaConfig }}
{{- $words = append $words (printf "--%s=/etc/braid/devices/rdma.json" .rdma) }}
{{- end }}
{{- if ne $devices.resourcePrefix "" }}
{{- $words = append $words (printf "--resource-prefix=%s" $devices.resourcePrefix) }}
{{- end }}
{{- if $devices.useCdi }}
{{- $words = append $words "--use-cdi" }}
{{- end }}
{{- range $words }}
- {{ . }}
{{- end }}
{{- end }}

{{- define "braid.devices.mounts" -}}
- {name: plugins, mountPath: /var/lib/kubelet/device-plugins}
- {name: plugins-registry, mountPath: /var/lib/kubelet/plugins_registry}
- {name: dev, mountPath: /dev, mountPropagation: HostToContainer, readOnly: true}
{{- if not .Values.devices.config }}
- {name: pcidp, mountPath: /etc/pcidp, readOnly: true}
{{- end }}
{{- if or .Values.devices.config .Values.devices.rdmaConfig }}
- {name: device-config, mountPath: /etc/braid/devices, readOnly: true}
{{- end }}
{{- end }}

{{- define "braid.devices.volumes" -}}
- name: plugins
  hostPath: {path: /var/lib/kubelet/device-plugins, type: DirectoryOrCreate}
- name: plugins-registry
  hostPath: {path: /var/lib/kubelet/plugins_registry, type: DirectoryOrCreate}
- name: dev
  hostPath: {path: /dev}
{{- if not .Values.devices.config }}
- name: pcidp
  hostPath: {path: /etc/pcidp, type: DirectoryOrCreate}
{{- end }}
{{- if or .Values.devices.config .Values.devices.rdmaConfig }}
- name: device-config
  configMap: {name: {{ .Values.fullnameOverride }}-devices}
{{- end }}
{{- end }}

{{- /* What a cluster would only find out when the pod fails, or never: refused before anything is installed. */ -}}
{{- define "portcullis.check" -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- fail (printf "replicaCount: %d is refused: the record is in SQLite, which one gateway writes; set 1" (int .Values.replicaCount)) -}}
{{- end -}}
{{- if not .Values.config.server.public_url -}}
{{- fail "config.server.public_url is not set: it is the URL by which agents and people reach the gateway, such as https://mcp.example.com" -}}
{{- end -}}
{{- if not .Values.config.connections -}}
{{- fail "config.connections is empty: name at least one MCP server to govern" -}}
{{- end -}}
{{- if hasKey .Values.config.server "listen" -}}
{{- fail "config.server.listen is set by the chart: use containerPort" -}}
{{- end -}}
{{- if hasKey (default dict .Values.config.recorder) "path" -}}
{{- fail "config.recorder.path is set by the chart: the record is in /data, see persistence" -}}
{{- end -}}
{{- if hasKey (default dict .Values.config.keys) "master" -}}
{{- fail "config.keys.master is set by the chart: use masterKey" -}}
{{- end -}}
{{- range $connection := .Values.config.connections -}}
{{- $value := dig "credential" "value" "" $connection -}}
{{- if and (kindIs "string" $value) $value (not (regexMatch "[$][{][A-Za-z_][A-Za-z0-9_]*[}]" $value)) -}}
{{- fail (printf "config.connections (%s): credential.value would stand in a ConfigMap for all to read: write ${NAME} and fill it through secretEnv, or { file: ... } and mount it through secretFiles" $connection.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The configuration file: the user's, with what the chart knows better. */ -}}
{{- define "portcullis.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $name := include "portcullis.fullname" . -}}
{{- $port := ternary "" (printf ":%d" (int .Values.service.port)) (eq (int .Values.service.port) 80) -}}
{{- $hosts := default list $config.server.allowed_hosts -}}
{{- range $host := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) -}}
{{- $hosts = append $hosts (printf "%s%s" $host $port) -}}
{{- end -}}
{{- $server := merge (dict "listen" (printf "0.0.0.0:%d" (int .Values.containerPort)) "allowed_hosts" (uniq $hosts)) $config.server -}}
{{- $recorder := merge (dict "path" "/data/portcullis.db") (default dict $config.recorder) -}}
{{- $key := ternary (printf "/run/secrets/portcullis-key/%s" .Values.masterKey.key) "/data/portcullis.key" (ne .Values.masterKey.secret "") -}}
{{- $keys := merge (dict "master" (dict "file" $key)) (default dict $config.keys) -}}
{{- toYaml (merge (dict "server" $server "recorder" $recorder "keys" $keys) $config) -}}
{{- end -}}

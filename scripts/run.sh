#!/bin/sh
# Builds and starts llm-proxy, in mock mode on 127.0.0.1:8002 unless the environment or .env (at the root of this
# repository) says otherwise.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh
binary=build/release/llm-proxy

is_set() { # NAME: whether the option is set in the environment or in .env
  eval "[ -n \"\${LLM_PROXY__$1-}\" ]" ||
    grep -Eqs "^[[:space:]]*(export[[:space:]]+)?LLM_PROXY__$1[[:space:]]*=[[:space:]]*[^[:space:]#]" .env
}

# Mock mode is the default only if no LiteLLM is named.
if ! is_set LLM_MODE && ! is_set LITELLM_PROXY_URL; then
  export LLM_PROXY__LLM_MODE=mock
fi

# If the configuration is faulty, the program itself says what is wrong.
config=$($binary --print-config 2>/dev/null) || exec $binary

option() { # name: prints the effective value
  printf '%s\n' "$config" | sed -n "s/^LLM_PROXY__$1=//p" | sed "s/  # default\$//; s/^'\\(.*\\)'\$/\\1/"
}

port=$(option PORT)
[ "$port" = 0 ] && port='<port, see the log>'
host=$(option HOST)
case "$host" in
  0.0.0.0) host=127.0.0.1 ;;
  ::) host='[::1]' ;;
  *:*) host="[$host]" ;;
esac
model=$(option DEFAULT_MODEL)
[ "$(option LLM_MODE)" = mock ] && model=mock-llm

# Another terminal reads the same .env, but does not have the variables of this one's environment, so the printed command
# must set them. A key is not printed. Instead the command reads it from the environment of this process, which becomes
# the service and whose environment its owner can read.
given=
[ -z "${LLM_PROXY__PORT-}${PORT-}" ] || given="$given LLM_PROXY__PORT=$(option PORT)"
for name in HOST TLS_CERT_FILE; do
  eval "value=\${LLM_PROXY__$name-}"
  [ -z "$value" ] || given="$given LLM_PROXY__$name='$value'"
done
key=change-me-internal-key
case "$config" in
  *'LLM_PROXY__INTERNAL_API_KEY=********  # default'*) ;;
  *)
    if [ -n "${LLM_PROXY__INTERNAL_API_KEY-}" ]; then
      key="\$(tr '\\0' '\\n' </proc/$$/environ | sed -n 's/^LLM_PROXY__INTERNAL_API_KEY=//p')"
      given="$given LLM_PROXY__INTERNAL_API_KEY=\"$key\""
    else
      key="\$(sed -n 's/^ *LLM_PROXY__INTERNAL_API_KEY *= *//p' '$PWD/.env' | tr -d \"'\\\"\")"
    fi
    ;;
esac

{
  printf '\nStarting llm-proxy (%s mode). To try it from another terminal:\n\n' "$(option LLM_MODE)"
  if [ "$(option PORT)" = 0 ]; then
    printf '  (the port is in the line below; commands and clients need it as LLM_PROXY__PORT or --url)\n\n'
  fi
  printf "  cd '%s' &&%s build/release/llm-proxy chat \"Hello there\"\n" "$PWD" "$given"
  if command -v curl >/dev/null; then
    printf "\n  curl -N http://%s:%s/v1/chat/completions -H \"x-internal-auth: %s\" -H 'content-type: application/json' -d '{\"model\": \"%s\", \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"Hello there\"}]}'\n" \
      "$host" "$port" "$key" "$model"
  fi
  printf '\n'
} >&2
exec $binary

#!/bin/sh
# Builds and starts llm-proxy: in mock mode on 127.0.0.1:8002, unless the environment or .env (at the root of this
# repository) says otherwise.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh
binary=build/release/llm-proxy

if [ -z "${LLM_PROXY__LLM_MODE-}" ] &&
  ! grep -Eqs '^[[:space:]]*(export[[:space:]]+)?LLM_PROXY__LLM_MODE[[:space:]]*=[[:space:]]*[^[:space:]#]' .env; then
  export LLM_PROXY__LLM_MODE=mock
fi

# With a faulty configuration the binary itself says what is wrong.
config=$($binary --print-config 2>/dev/null) || exec $binary

option() { # name: its effective value
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
# A configured key is not shown.
key='$LLM_PROXY__INTERNAL_API_KEY' note=' ($LLM_PROXY__INTERNAL_API_KEY: the key you configured)'
case "$config" in
  *'LLM_PROXY__INTERNAL_API_KEY=********  # default'*) key=change-me-internal-key note= ;;
esac

cat >&2 <<END

Starting llm-proxy ($(option LLM_MODE) mode). To try it from another terminal$note:

  curl -N http://$host:$port/v1/chat/completions -H "x-internal-auth: $key" -H 'content-type: application/json' -d '{"model": "$model", "stream": true, "messages": [{"role": "user", "content": "Hello there"}]}'

END
exec $binary

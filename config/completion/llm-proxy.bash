# Completion of llm-proxy's commands and arguments for bash.
_llm_proxy() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
  case $before in
    --file | --ca-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
    -m | --model) mapfile -t COMPREPLY < <(compgen -W "$(llm-proxy models 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$word") && return ;;
  esac
  local words
  if [ "$COMP_CWORD" = 1 ]; then
    words='serve chat models health keys check-config print-config --help --version --print-env-example --print-options-table --print-errors-table --print-man-page'
  else
    case $command in
      chat) words='-m --model -s --system --url --ca-file' ;;
      models | health) words='--url --ca-file' ;;
      keys) words='add list revoke --file --expires --max-concurrent --rpm --tpm --models --routes --sha256' ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "${words-}" -- "$word")
}
complete -F _llm_proxy llm-proxy

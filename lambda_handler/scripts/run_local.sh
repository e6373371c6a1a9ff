#!/usr/bin/env bash
# AWS Lambda on this machine, without an AWS account: the real Runtime Interface Emulator and the real runtime client,
# with this checkout's function.
#
#   lambda_handler/scripts/run_local.sh [--port 9080] [--timeout 60] [--memory 512]
#
#   --port PORT        where it listens, on loopback only
#   --timeout SECONDS  the function's
#   --memory MB        what the function is told that it has
#
# It works on one call at a time. Keys and endpoints are this shell's; servers on this machine, such as Ollama, can be
# asked, which the function on AWS refuses. Ctrl-C ends it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
fail() {
    printf 'run_local: error: %s\n' "$*" >&2
    exit 1
}

port=9080 timeout=60 memory=512
while [ $# -gt 0 ]; do
    case $1 in
        --port | --timeout | --memory)
            [ $# -ge 2 ] && [[ $2 =~ ^[0-9]{1,9}$ ]] || fail "$1 needs a number; see --help."
            case $1 in
                --port) port=$((10#$2)) least=1 most=65535 ;;
                --timeout) timeout=$((10#$2)) least=1 most=900 ;;
                --memory) memory=$((10#$2)) least=128 most=10240 ;;
            esac
            [ "$2" -ge "$least" ] && [ "$2" -le "$most" ] || fail "$1 takes $least to $most, not $2."
            shift
            ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *) fail "unknown argument: $1; see --help." ;;
    esac
    shift
done

[ "$(uname -s)" = Linux ] || fail "the emulator is a program for Linux. Run this in WSL, a Linux container or a virtual" \
    "machine, or deploy: lambda_handler/scripts/deploy.sh"
case $(uname -m) in
    x86_64 | amd64) arch=x86_64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "there is no emulator for this processor ($(uname -m))." ;;
esac
"$root/.ci/setup" dev || fail "the environment was not made: see above."
"$root/.ci/setup" lambda-tools || fail "the emulator was not installed: see above."
emulator=$(ls "$root"/.tools/lambda-tools/lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-$arch 2>/dev/null) ||
    fail "the emulator is not in .tools/lambda-tools. Install it again: rm -r .tools/lambda-tools; .ci/setup lambda-tools"

python=$root/.venv/bin/python
free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
"$python" -c 'import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1])))' \
    "$port" 2>/dev/null || fail "port $port is in use. End what listens there, or choose another: --port 9081"

export AWS_LAMBDA_FUNCTION_NAME=function AWS_LAMBDA_FUNCTION_TIMEOUT=$timeout AWS_LAMBDA_FUNCTION_MEMORY_SIZE=$memory
export AGENT_LAUNCHER_ALLOW_LOOPBACK=true
AGENT_LAUNCHER_CODE_VERSION=$("$python" -c 'from core.code_version import code_version; print(code_version())')
export AGENT_LAUNCHER_CODE_VERSION
cat <<SETTINGS
The function listens on http://127.0.0.1:$port. In another shell:

export AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:$port LAMBDA_AGENT_FUNCTION_NAME=function AWS_LAMBDA_REGION=us-east-1
.venv/bin/agent-launcher run --provider DEMO --model demo-echo --backend lambda --prompt "Hello"

SETTINGS
exec "$emulator" --runtime-api-address "127.0.0.1:$(free_port)" --runtime-interface-emulator-address "127.0.0.1:$port" \
    "$python" -m awslambdaric lambda_handler.handler.handle

#!/usr/bin/env bash
# Checks, builds, deploys and asks the function on AWS Lambda. What it costs and may do: docs/lambda.md.
#
#   lambda_handler/scripts/deploy.sh [staging|production] [options]
#
#   --build-only             build the package and stop; needs no AWS account
#   --arch arm64|x86_64      default: arm64
#   --python 3.12|3.13|3.14  default: 3.13
#   --with PACKAGE           a package with providers to pack in; can be given again
#   --parameter NAME=VALUE   one of template.yaml's parameters; can be given again
#
# The region is AWS_LAMBDA_REGION, else AWS_REGION, else AWS_DEFAULT_REGION; the account is boto3's own choice
# (AWS_PROFILE, AWS_ACCESS_KEY_ID, ...). BEDROCK_MODEL_ID, if it is set, is the one model that the function may invoke,
# unless --parameter BedrockModelArns=... names others. In production, what is deployed is what is committed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/.tools/lambda-tools/bin

say() { printf 'deploy: %s\n' "$*" >&2; }
fail() {
    say "error: $*"
    exit 1
}
usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit "${1:-0}"
}

stage=staging build_only='' arch=arm64 python=3.13
packages=() parameters=()
while [ $# -gt 0 ]; do
    case $1 in
        staging | production) stage=$1 ;;
        --build-only) build_only=yes ;;
        --arch | --python | --with | --parameter)
            [ $# -ge 2 ] || fail "$1 needs a value; see --help."
            case $1 in
                --arch) arch=$2 ;;
                --python) python=$2 ;;
                --with)
                    package=$2
                    # A folder or a wheel from where this was called, not a package of that name from the index.
                    [ ! -e "$package" ] || package=$(cd "$(dirname "$package")" && pwd)/$(basename "$package")
                    packages+=(--with "$package")
                    ;;
                --parameter)
                    [[ $2 == *=* ]] || fail "--parameter takes NAME=VALUE, not $2."
                    grep -q "^  ${2%%=*}:\$" "$root/lambda_handler/template.yaml" ||
                        fail "template.yaml has no parameter ${2%%=*}."
                    parameters+=("$2")
                    ;;
            esac
            shift
            ;;
        -h | --help) usage ;;
        *) say "error: unknown argument: $1"; usage 2 >&2 ;;
    esac
    shift
done

if [ "$stage" = production ] && [ -z "$build_only" ] && [ -d "$root/.git" ]; then
    changed=$(git -C "$root" status --porcelain -- core lambda_handler)
    [ -z "$changed" ] || fail "core/ or lambda_handler/ has changes that are not committed, so nobody could say later what" \
        "runs in production. Commit them, or deploy to staging."
fi

region=${AWS_LAMBDA_REGION:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}
if [ -z "$build_only" ] && [ -z "$region" ]; then
    fail "no AWS region is set. Set AWS_LAMBDA_REGION, such as us-east-1."
fi

"$root/.ci/lambda-package" --arch "$arch" --python "$python" ${packages[@]+"${packages[@]}"} ||
    fail "the package was not built: see above."
built=$root/build/lambda/function.json
if [ -n "$build_only" ]; then
    say "built and not deployed: $root/build/lambda/function.zip"
    exit 0
fi

"$root/.ci/setup" lambda-tools || fail "the SAM command line was not installed: see above."
export AWS_REGION=$region AWS_DEFAULT_REGION=$region SAM_CLI_TELEMETRY=0
version=$("$root/.venv/bin/python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["code_version"])' "$built")

account=$("$tools/python" -c 'import boto3; print(boto3.client("sts").get_caller_identity()["Account"])' 2>&1) ||
    fail "AWS does not know who you are: $(printf '%s' "$account" | tail -n 1) -- Set AWS_PROFILE (after aws sso login, if" \
        "it uses single sign-on), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
say "account $account, region $region, stage $stage, code $version"

cd "$root/lambda_handler"
"$tools/sam" validate --lint --template-file template.yaml --region "$region" ||
    fail "template.yaml is not valid: see above."

given=" ${parameters[*]-}"
if [ -n "${BEDROCK_MODEL_ID:-}" ]; then
    parameters+=("BedrockModelId=$BEDROCK_MODEL_ID")
    if [[ $given != *" BedrockModelArns="* ]]; then
        arns=$(cd "$root" && .venv/bin/python -m lambda_handler.scripts.bedrock_arns "$region" "$BEDROCK_MODEL_ID")
        parameters+=("BedrockModelArns=$arns")
    fi
fi
if [ -n "${BEDROCK_REGION:-}" ] && [[ $given != *" BedrockRegion="* ]]; then
    parameters+=("BedrockRegion=$BEDROCK_REGION")
fi

stack=agent-launcher-function-$stage
"$tools/sam" deploy --template-file template.yaml --stack-name "$stack" --region "$region" --resolve-s3 \
    --capabilities CAPABILITY_IAM --no-confirm-changeset --no-fail-on-empty-changeset \
    --parameter-overrides "Stage=$stage" "Architecture=$arch" "Runtime=python$python" "CodeVersion=$version" \
    ${parameters[@]+"${parameters[@]}"} ||
    fail "the stack $stack was not deployed: see above. A stack in ROLLBACK_COMPLETE is deleted first: $tools/sam delete" \
        "--stack-name $stack --region $region. Rights that are missing are named in the message."

output() {
    "$tools/python" -c '
import boto3, sys
(stack,) = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"]
print(next(item["OutputValue"] for item in stack["Outputs"] if item["OutputKey"] == sys.argv[2]))' "$stack" "$1"
}
function=$(output FunctionName) || fail "the stack $stack has no output FunctionName: deploy it again."
alias=$(output AliasName) || fail "the stack $stack has no output AliasName: deploy it again."
cd "$root"
.venv/bin/python -m lambda_handler.scripts.smoke_test "$function" "$version" "${alias##*:}" ||
    fail "it is deployed and does not work: see above."

cat <<SETTINGS
Use it with these settings (environment or .env):

USE_LAMBDA_FOR_AGENT_EXECUTION=true
AWS_LAMBDA_REGION=$region
LAMBDA_AGENT_FUNCTION_NAME=$alias

Every provider, here and there: .venv/bin/python lambda_handler/scripts/test_multi_provider.py --lambda
SETTINGS

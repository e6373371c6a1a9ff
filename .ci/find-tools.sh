# Sourced by the scripts beside it, from the root of the checkout: finds a Python and a uv that work.
# Sets $python and $uv. Nothing is written outside the checkout.

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

# A name on PATH proves nothing (a pyenv shim exists for versions that are not active): only running it does.
python_works() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        python_works "$PYTHON" || fail "PYTHON=$PYTHON does not run, or is older than Python 3.11."
        candidate=$PYTHON
    else
        for candidate in python3.13 python3.12 python3.11 python3 python ''; do
            [ -n "$candidate" ] || fail "no Python 3.11 or newer was found on PATH." \
                "Install one (python.org, or the package python3), or name it: make PYTHON=/path/to/python3.12 ..."
            if python_works "$candidate"; then break; fi
        done
    fi
    python=$("$candidate" -c 'import sys; print(sys.executable)')
}

bootstrap_uv() {
    say "installing uv into .tools (once)"
    rm -rf .tools/uv
    mkdir -p .tools
    if "$python" -m venv .tools/uv >.tools/bootstrap.log 2>&1; then
        .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r .ci/uv.txt || fail "pip could not install uv: see above. Is a package index reachable from here?"
    elif "$python" -m pip --version >>.tools/bootstrap.log 2>&1; then
        # Debian splits venv from Python; pip alone will do.
        rm -rf .tools/uv
        "$python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            --target .tools/uv -r .ci/uv.txt || fail "pip could not install uv: see above. Is a package index reachable from here?"
    else
        fail "$python has neither venv nor pip, so uv cannot be installed." \
            "Install the package python3-venv (Debian, Ubuntu: apt-get install python3-venv), or uv itself."
    fi
}

# pip is often the only tool that was told where the package index is; uv does not read pip's settings.
pass_pip_settings_to_uv() {
    pip_setting() { "$python" -m pip config get "global.$1" 2>/dev/null || true; }
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        index=${PIP_INDEX_URL:-$(pip_setting index-url)}
        if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
    fi
    if [ -z "${SSL_CERT_FILE:-}" ]; then
        certificate=${PIP_CERT:-$(pip_setting cert)}
        if [ -n "$certificate" ]; then export SSL_CERT_FILE="$certificate"; fi
    fi
}

find_uv() {
    case "$(uv --version 2>/dev/null || true)" in
        'uv 0.'[0-7].* | '') ;; # too old, or none
        uv*)
            uv=uv
            return
            ;;
    esac
    uv=.tools/uv/bin/uv
    "$uv" --version >/dev/null 2>&1 || bootstrap_uv
    pass_pip_settings_to_uv
}

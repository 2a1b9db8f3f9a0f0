#!/usr/bin/env bash
# Every shell script parses; shellcheck, where it is installed, has nothing to say.
set -euo pipefail
# shellcheck source=tests/lint/files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

mapfile -d '' scripts < <(find deploy tests .ci -type f \( -name '*.sh' -o -path .ci/run \) -print0 | sort -z)
for script in "${scripts[@]}"; do
    bash -n "$script"
done
if command -v shellcheck >/dev/null; then
    shellcheck --shell=bash --external-sources --severity=warning "${scripts[@]}"
else
    echo "shell: shellcheck is not installed; syntax alone was checked"
fi

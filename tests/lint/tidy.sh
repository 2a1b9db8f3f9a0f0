#!/usr/bin/env bash
# clang-tidy over the project's own sources. tidy.sh [BUILD_FOLDER] (default: build)
set -euo pipefail
# shellcheck source=tests/lint/files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

build=${1:-build}
[[ -f $build/compile_commands.json ]] ||
    { echo "tidy: $build/compile_commands.json not found; run cmake --preset release"; exit 1; }

# The largest first, so that no processor waits for the last one at the end.
sources() { find "${source_folders[@]}" -type f -name '*.c' -printf '%s %p\n' | sort -rn | cut -d ' ' -f 2; }

defines='common/error\.c|coordinator/store/durable\.c'

# gcc's names of warnings are not all clang's. analyzer.h renames what those two files define.
tidy() {
    xargs -P "${STAGE4_JOBS:-$(nproc)}" -n 2 clang-tidy --quiet -p "$build" \
        --extra-arg=-Wno-unknown-warning-option "$@" \
        2> >(grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header' >&2 || true)
}

sources | grep -vxE "$defines" | tidy --extra-arg=-include --extra-arg="$PWD/tests/lint/analyzer.h"
sources | grep -xE "$defines" | tidy

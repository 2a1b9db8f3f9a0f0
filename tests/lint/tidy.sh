#!/usr/bin/env bash
# clang-tidy over the project's own sources. tidy.sh [BUILD_FOLDER] (default: build)
set -euo pipefail
# shellcheck source=tests/lint/files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

build=${1:-build}
[[ -f $build/compile_commands.json ]] ||
    { echo "tidy: $build/compile_commands.json not found; run cmake --preset release"; exit 1; }
# gcc's names of warnings are not all clang's.
find "${source_folders[@]}" -type f -name '*.c' -print0 | sort -z |
    xargs -0 -P "${STAGE4_JOBS:-$(nproc)}" -n 4 clang-tidy --quiet -p "$build" \
        --extra-arg=-Wno-unknown-warning-option 2> >(grep -v 'warnings generated' >&2 || true)

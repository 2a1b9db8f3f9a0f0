#!/usr/bin/env bash
# Is every C file formatted as .clang-format says? format.sh [--fix]
set -euo pipefail
# shellcheck source=tests/lint/files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

formatter=clang-format-14
command -v "$formatter" >/dev/null || { echo "format: $formatter not found; run deploy/setup.sh"; exit 1; }
if [[ ${1:-} == --fix ]]; then mode=(-i); else mode=(--dry-run -Werror); fi
c_files "${source_folders[@]}" tests | xargs -0 "$formatter" "${mode[@]}"

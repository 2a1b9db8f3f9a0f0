#!/usr/bin/env bash
# cppcheck over the project's own sources.
set -euo pipefail
# shellcheck source=tests/lint/files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

# An internalAstError, an unknown macro of a library's or a missing system header is cppcheck's own.
cppcheck --quiet --error-exitcode=1 --std=c11 --language=c --inline-suppr -j "${STAGE4_JOBS:-$(nproc)}" \
    --enable=warning,performance,portability \
    --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches \
    -D_GNU_SOURCE -DSTAGE4_VERSION='"0"' -I . "${source_folders[@]}"

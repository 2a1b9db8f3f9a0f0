# shellcheck shell=bash disable=SC2034
# Sourced by the lint scripts: goes to the repository's root and names the C files of the project.
# Whoever works on a file that git does not know yet wants it checked too.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

source_folders=(common proto coordinator worker gateway cli)

# c_files FOLDER...: NUL-terminated names.
c_files() { find "$@" -type f \( -name '*.c' -o -name '*.h' \) -print0 | sort -z; }

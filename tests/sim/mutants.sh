#!/usr/bin/env bash
# Shows that the simulation bites: plants one bug at a time (mutants/*.patch) into a copy of the
# core, and counts how many of them it finds.
#
#   tests/sim/mutants.sh [SEEDS]     10000 unless told; exit status 1 when a mutant survives
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seeds=${1:-10000}
compiler=${CC:-cc}
flags=(-std=gnu11 -O1 -D_GNU_SOURCE -Icopy -I"$root" -I"$here")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p copy/coordinator objects
cp -r "$root/coordinator/core" copy/coordinator/core

compile() { # source object
    "$compiler" "${flags[@]}" -c "$1" -o "$2"
}

for source in "$here"/*.c "$root/common/error.c" "$root/common/utf8.c" \
    "$root/common/sha256.c"; do
    compile "$source" "objects/other_$(basename "$source" .c).o"
done
for source in copy/coordinator/core/*.c; do
    compile "$source" "objects/core_$(basename "$source" .c).o"
done
"$compiler" objects/*.o -lcrypto -o sim
timeout 120 ./sim --seeds "$seeds" >/dev/null || { echo "the core itself breaks a rule"; exit 1; }

found=0
total=0
for patch in "$here"/mutants/*.patch; do
    name=$(basename "$patch" .patch)
    total=$((total + 1))
    file=$(sed -n 's|^+++ b/||p' "$patch")
    patch --quiet --dry-run -p1 -d copy <"$patch" >/dev/null ||
        { echo "$name: the patch does not fit the core any more"; exit 1; }
    cp "copy/$file" kept.c
    patch --quiet --no-backup-if-mismatch -p1 -d copy <"$patch"
    mkdir mutant
    cp objects/*.o mutant/
    compile "copy/$file" "mutant/core_$(basename "$file" .c).o"
    "$compiler" mutant/*.o -lcrypto -o mutant/sim
    if timeout 60 mutant/sim --seeds "$seeds" >mutant/out 2>&1; then
        echo "SURVIVED  $name"
    else
        found=$((found + 1))
        replay=$(sed -n 's/^.*(all: sim \(.*\) --trace):$/\1/p' mutant/out)
        # shellcheck disable=SC2086 # words
        if [[ -n $replay ]] && mutant/sim $replay >/dev/null; then
            echo "$name: nothing breaks when it is replayed: sim $replay"; exit 1
        fi
        echo "found     $name: $(grep -a -m1 -E '^seed|^core:' mutant/out || echo 'it crashed or hung')"
    fi
    cp kept.c "copy/$file"
    rm -r mutant
done
echo "$found of $total planted bugs found within $seeds seeds each"
[ "$found" -eq "$total" ]

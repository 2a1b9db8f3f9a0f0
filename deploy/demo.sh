#!/usr/bin/env bash
# Sets a Debian 12 machine up, builds, clusters the shipped news sample, and shows what came out.
#
#   deploy/demo.sh [--no-setup]
#
#   --no-setup  do not run deploy/setup.sh first
#
# The clusters of the four levels go to build/demo/, one JSON object a line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=build/demo
sample=tests/data/wiki2015

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
title() { printf '\n== %s\n' "$*"; }

set_up() {
    title 'set up'
    deploy/setup.sh --no-test-tools
}

# The tests are built where cmocka is, so that building them once is not undone here.
build() {
    title 'build'
    local testing=OFF
    if pkg-config --exists cmocka; then testing=ON; fi
    cmake --preset release -DBUILD_TESTING=$testing >/dev/null
    cmake --build --preset release --parallel "${STAGE4_JOBS:-$(nproc)}" |
        tail -n 1
}

# cluster LEVEL OPTION...
cluster() {
    local level=$1
    shift
    title "stage4 run --embedding-type $level $*"
    build/stage4 run --indices "$sample" --embedding-type "$level" "$@" \
        --as-of 2015-10-01 --output "$out/$level.jsonl" --report "$out/$level-report.json" \
        2>"$out/$level.log" || { cat "$out/$level.log" >&2; exit 1; }
}

# One cluster, as Stage 5 reads it; what is long is shown by its length or its start.
show_line() {
    title "the first line of $out/events.jsonl (long lists are cut)"
    head -n 1 "$out/events.jsonl" | jq '
        .centroid_vector |= (.[:3] + ["\(length) numbers"]) | .members |= .[:2] |
        with_entries(if (.value | type == "array" and length > 4)
                     then .value |= (.[:3] + ["\(length) in all"]) else . end)'
}

main() {
    case ${1:-} in
        '') set_up ;;
        --no-setup) ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    build
    mkdir -p "$out"
    title "what is in $sample"
    build/stage4 inspect --indices "$sample"
    cluster documents --param min_cluster_size=3 --param min_samples=2
    cluster events --param min_cluster_size=3 --param min_samples=2
    cluster entities --param min_cluster_size=3 --param min_samples=2
    cluster storylines --param min_cluster_size=3 --param min_samples=2
    show_line
    title 'all of it'
    ls -l "$out"/*.jsonl
}

main "$@"

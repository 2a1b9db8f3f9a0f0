#!/usr/bin/env bash
# stage4 beside its peers from PyPI on the same vectors, one after the other; a table of all of them.
#
#   tests/bench/peers.sh                       all real vectors of ../shared/data/stage3, into docs/benchmarks.md
#   tests/bench/peers.sh --rows 5000 --print   fewer, to the screen
#
#   --sets FOLDER    the sets whose levels are joined (default ../shared/data/stage3)
#   --indices FOLDER events.index to use instead
#   --venv FOLDER    where the packages go (default ~/.cache/stage4-peers: outside of the checkout)
#   --threads N      (default 2)    --rows N  at most    --only NAME  a peer, may be repeated
#
# Best on a quiet machine; the whole takes about half an hour on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=${XDG_CACHE_HOME:-$HOME/.cache}/stage4-peers
sets=../shared/data/stage3
indices=
into=(--into docs/benchmarks.md)
pass=()
while [ $# -gt 0 ]; do
    case $1 in
    --venv) venv=$2; shift 2 ;;
    --sets) sets=$2; shift 2 ;;
    --indices) indices=$2; shift 2 ;;
    --print) into=(); shift ;;
    --threads | --rows | --only) pass+=("$1" "$2"); shift 2 ;;
    *) sed -n '2,13p' "$0"; exit 2 ;;
    esac
done

[ -x build/stage4-bench ] || { echo "peers.sh: no build/stage4-bench; cmake --build --preset release" >&2; exit 1; }
if ! [ -f "$venv/.complete" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet hdbscan scikit-learn fast_hdbscan evoc umap-learn genieclust \
        quitefastmst faiss-cpu scikit-learn-intelex
    touch "$venv/.complete"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$indices" ]; then
    "$venv/bin/python" tests/bench/join_sets.py "$sets" "$work" >&2
    indices=$work
fi
"$venv/bin/python" tests/bench/peers.py --indices "$indices" --build build "${pass[@]}" "${into[@]}"

#!/usr/bin/env bash
# Sets up, builds and tests everything. The last line is "N passed, N failed".
#
#   tests/run.sh [--only PART]... [--no-setup]
#
#   --only PART  lint | unit | oracle | e2e | checked | sim; may be given several times
#   --no-setup   do not run deploy/setup.sh first
#
# Parts: lint checks the sources; unit builds the release preset and runs its test programs (sim: the
# simulated cluster alone); e2e runs tests/e2e on real processes; oracle compares with scikit-learn
# and a plain reference; checked repeats unit and e2e (but for what compares instruction sets
# and what measures memory) under AddressSanitizer, UBSan and gcov, prints the share of
# lines that ran and fails under 80 %.
#
# Environment:
#   STAGE4_JOBS  compilers, and test programs and scripts, at once (default: number of processors)
#   STAGE4_DATA  a folder of labelled sets for the oracle tests (default: ../shared/data, if there)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs=${STAGE4_JOBS:-$(nproc)}
gate=80
folders=(common proto coordinator worker gateway cli)
all_parts=(lint unit oracle e2e checked)
parts=()
setup=yes
passed=0
failed=0
failures=()
logs=$PWD/build/test-logs
export STAGE4_DATA=${STAGE4_DATA:-$PWD/../shared/data}

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
die() { printf 'run.sh: %s\n' "$*" >&2; exit 2; }

read_options() {
    while (($#)); do
        case $1 in
            --only) parts+=("${2:?--only needs a part}"); shift ;;
            --no-setup) setup=no ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; die "unknown option: $1" ;;
        esac
        shift
    done
    local part
    for part in "${parts[@]}"; do
        [[ " ${all_parts[*]} sim " == *" $part "* ]] || die "no such part: $part"
    done
    ((${#parts[@]})) || parts=("${all_parts[@]}")
}

# ---- counting --------------------------------------------------------------------------------

seconds_since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'; }

# took WORD NAME SECONDS; line WORD NAME STARTED
took() { printf '%-8s %-48s %8s s\n' "$@"; }
line() { took "$1" "$2" "$(seconds_since "$3")"; }

count() {
    passed=$((passed + $1))
    failed=$((failed + $2))
}

# give_up_on NAME LOG: what failed comes first, then the end of what was printed.
give_up_on() {
    count 0 1
    failures+=("$1")
    { grep -nE 'FAILED|ERROR:|: error|LINE   ' "$2" | head -n 20; echo ...; tail -n 40 "$2"; } |
        cut -c 1-400 | sed 's/^/    /'
}

# check NAME COMMAND...: one check, its output kept; shown when it fails. Exit status 77: skipped.
check() {
    local name=$1 log started status=0
    shift
    log=$logs/${name//[ \/]/-}.log
    started=$(date +%s.%N)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    case $status in
        0) count 1 0; line ok "$name" "$started" ;;
        77) line skipped "$name" "$started"; tail -n 1 "$log" | sed 's/^/    /' ;;
        *) line FAILED "$name" "$started"; give_up_on "$name" "$log" ;;
    esac
    return 0
}

# step NAME COMMAND...: what later steps need; not counted unless it fails.
step() {
    local name=$1 log started
    shift
    log=$logs/${name//[ \/]/-}.log
    started=$(date +%s.%N)
    if "$@" >"$log" 2>&1 </dev/null; then
        line ready "$name" "$started"
    else
        line FAILED "$name" "$started"
        give_up_on "$name" "$log"
        return 1
    fi
}

junit_attribute() { tr "\n\t" "  " <"$2" | grep -o " $1=\"[0-9]*\"" | head -n 1 | tr -dc 0-9; }

# programs NAME BUILD [CTEST OPTION...]: every test program that CMake knows of.
programs() {
    local name=$1 build=$2 started log xml total bad
    shift 2
    log=$logs/$name.log
    xml=$logs/$name.xml
    started=$(date +%s.%N)
    rm -f "$xml"
    ctest --test-dir "$build" --parallel "$jobs" --output-on-failure --no-tests=error \
        --output-junit "$xml" "$@" >"$log" 2>&1 </dev/null || true
    total=$(junit_attribute tests "$xml" 2>/dev/null || true)
    bad=$(junit_attribute failures "$xml" 2>/dev/null || true)
    if [[ -z $total || -z $bad ]]; then
        line FAILED "$name" "$started"
        give_up_on "$name" "$log"
    elif ((bad)); then
        line FAILED "$name: $bad of $total programs" "$started"
        count "$((total - bad))" "$((bad - 1))"
        give_up_on "$name" "$log"
    else
        line ok "$name: $total programs" "$started"
        count "$total" 0
    fi
}

# scripts PART FOLDER BUILD [NAME]...: starts tests/FOLDER/test_* but for those NAMEs; each is a program
# that says "N passed, N failed" last. As many at once as there are jobs: much of their time is waiting.
# Those of the next part start beside the last of this one; end_scripts waits for all and reports.
scripts() {
    local part=$1 folder=$2 build=$3 file name
    shift 3
    for file in "tests/$folder"/test_*.py; do
        [[ " $* " != *" $(basename "${file%.*}") "* ]] || continue
        name="$part $(basename "$file")"
        started_scripts+=("$name")
        while (($(jobs -rp | wc -l) >= jobs)); do wait -n || true; done
        STAGE4_BUILD=$PWD/$build run_script "$(log_of "$name")" \
            "${STAGE4_DEPS:-.deps}/venv/bin/python" "$file" &
    done
}

started_scripts=()
end_scripts() {
    local name
    wait
    for name in "${started_scripts[@]}"; do report_script "$name"; done
    started_scripts=()
}

log_of() { printf '%s/%s.log' "$logs" "${1//[ \/]/-}"; }

# run_script LOG COMMAND...: leaves the exit status and the seconds in LOG.end.
run_script() {
    local log=$1 started status=0
    shift
    started=$(date +%s.%N)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    echo "$status $(seconds_since "$started")" >"$log.end"
}

report_script() {
    local name=$1 log status seconds tally good=0 bad=0
    log=$(log_of "$name")
    read -r status seconds <"$log.end"
    tally=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1 || true)
    if [[ -n $tally ]]; then read -r good _ bad _ <<<"$tally"; fi
    if ((status == 77)); then
        took skipped "$name" "$seconds"
        tail -n 1 "$log" | sed 's/^/    /'
    elif ((status == 0 && good > 0 && bad == 0)); then
        took ok "$name: $good" "$seconds"
        count "$good" 0
    else
        took FAILED "$name" "$seconds"
        count "$good" "$((bad > 0 ? bad - 1 : 0))"
        give_up_on "$name" "$log"
    fi
}

# ---- the parts -------------------------------------------------------------------------------

build_preset() {
    cmake --preset "$1" && nice cmake --build --preset "$1" --parallel "$jobs"
}

declare -A built=()
# Built once, whichever part comes first; what does not build is reported once.
need() {
    if [[ -z ${built[$1]:-} ]]; then
        built[$1]=no
        if step "build $1" build_preset "$1"; then built[$1]=yes; fi
    fi
    [[ ${built[$1]} == yes ]]
}

part_lint() {
    check 'lint format' tests/lint/format.sh
    check 'lint includes' python3 tests/lint/includes.py
    check 'lint shell' tests/lint/shell.sh
    check 'lint cppcheck' tests/lint/cppcheck.sh
    if step 'configure release' cmake --preset release; then
        check 'lint clang-tidy' tests/lint/tidy.sh build
    fi
}

part_unit() { need release && programs unit build; }
part_sim() { need release && programs sim build --tests-regex '^sim'; }
part_e2e() { need release && scripts e2e e2e build; }

part_oracle() {
    [[ -d $STAGE4_DATA ]] ||
        echo "         oracle: no labelled sets in $STAGE4_DATA; only what needs none is checked"
    need release && scripts oracle oracle build
}

# Counts that threads lost may leave a branch with fewer than none; gcovr is told to pass over those.
# It hangs when a job of its own fails, hence one job and a limit.
coverage_gate() {
    local filters=() folder
    for folder in "${folders[@]}"; do filters+=(--filter "$folder/"); done
    timeout 300 gcovr --root . --object-directory build-checked "${filters[@]}" \
        --gcov-ignore-parse-errors --exclude-unreachable-branches --print-summary \
        --txt "$logs/coverage.txt" --fail-under-line "$gate"
}

part_checked() {
    end_scripts
    need checked || return 0
    find build-checked -name '*.gcda' -delete
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
    export UBSAN_OPTIONS=print_stacktrace=1
    programs checked-unit build-checked --exclude-regex mutants # builds programs of its own
    scripts checked e2e build-checked test_determinism test_memory
    end_scripts
    unset ASAN_OPTIONS UBSAN_OPTIONS
    check "coverage of at least $gate % of the lines" coverage_gate
    grep -h '^lines:' "$logs"/coverage-of*.log | sed 's/^/         /' || true
}

main() {
    local started part
    read_options "$@"
    started=$(date +%s.%N)
    mkdir -p "$logs"
    rm -f "$logs"/*
    if [[ $setup == yes ]]; then step setup deploy/setup.sh || true; fi
    for part in "${parts[@]}"; do
        "part_$part" || true
    done
    end_scripts
    if ((failed)); then printf 'failed: %s\n' "${failures[@]}"; fi
    printf 'total %s s; what the tests printed is in build/test-logs\n' "$(seconds_since "$started")"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0 && passed > 0))
}

main "$@"

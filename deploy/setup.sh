#!/usr/bin/env bash
# Prepares a Debian 12 machine to build, run and test this repository. Safe to run again.
#
#   deploy/setup.sh [--check] [--no-test-tools]
#
#   --check          installs nothing; lists what is missing, exits 1 when something is
#   --no-test-tools  only what building and running needs (no linters, no cmocka, no Python)
#
# Environment:
#   STAGE4_DEPS      where the libraries built here go (default: <repository>/.deps)
#   STAGE4_JOBS      parallel compilers (default: number of processors)
#
# Run it as root, or as a user who may use sudo: only apt-get is then run through sudo.
set -euo pipefail

deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(dirname "$deploy")
lock=$deploy/third-party.lock
requirements=$deploy/requirements-test.txt
prefix=$(realpath -m "${STAGE4_DEPS:-$repo/.deps}")
work=$prefix/.setup      # sources, stamps and what is there only while building
jobs=${STAGE4_JOBS:-$(nproc)}
check=no
test_tools=yes

base_packages=(
    build-essential ca-certificates cmake dpkg-dev git ninja-build pkg-config
    curl jq                     # what the README's commands talk to the service with
    libzmq3-dev libczmq-dev libmsgpack-dev
    libopenblas-dev libopenblas-pthread-dev libfaiss-dev
    libhiredis-dev libpq-dev libsqlite3-dev
    libcurl4-openssl-dev libssl-dev
    libyajl-dev libjansson-dev libyaml-dev
    libzstd-dev zlib1g-dev
)
test_packages=(
    libcmocka-dev gcovr
    clang clang-format-14 clang-tidy cppcheck libclang-rt-14-dev
    python3 python3-venv
    redis-server postgresql     # stores the tests start on free ports, never as services
)

# The Debian libcivetweb crashes in every TLS handshake: it loads OpenSSL 3 by dlopen with the
# names of OpenSSL 1.1. Linked directly it works. NO_FILES and NO_CGI leave out everything that
# maps a URL to a file, so no request can reach the file system.
civetweb_flags=(-DNO_SSL_DL -DOPENSSL_API_3_0 -DNO_FILES -DNO_CGI -DUSE_WEBSOCKET -DNDEBUG)
compile_flags=(-O2 -g -fPIC -ffunction-sections -fdata-sections -fstack-protector-strong
    -D_FORTIFY_SOURCE=2)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

read_options() {
    while (($#)); do
        case $1 in
            --check) check=yes ;;
            --no-test-tools) test_tools=no ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; die "unknown option: $1" ;;
        esac
        shift
    done
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "not root and no sudo; have an administrator run: apt-get install $(missing_packages | xargs)"
    fi
}

# ---- Debian packages -------------------------------------------------------------------------

wanted_packages() {
    printf '%s\n' "${base_packages[@]}"
    [[ $test_tools == no ]] || printf '%s\n' "${test_packages[@]}"
}

# One name a line; nothing when all are installed.
# shellcheck disable=SC2016  # ${...} is dpkg-query's own placeholder
missing_packages() {
    comm -23 <(wanted_packages | sort -u) \
        <(wanted_packages | xargs dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
            sed -n 's/^installed //p' | sort -u)
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
        apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]} == 0)); then
        say "Debian packages: all there"
        return
    fi
    say "Debian packages: installing ${#missing[@]}: ${missing[*]}"
    apt_get update
    apt_get install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# ---- libraries built here --------------------------------------------------------------------

locked_version() { awk -v name="$1" '$1 == name { print $2; exit }' "$lock"; }
locked_sums() { awk -v name="$1" '$1 == name { print $3 "  " $4 }' "$lock"; }
installed_version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || true; }

local_patches() { find "$deploy" -maxdepth 1 -name "$1-*.patch" -print0 | sort -z; }

# What a finished build is known by: its sources, its recipe and what it was built against.
library_stamp() {
    {
        locked_sums "$1"
        declare -f "build_$1"
        printf '%s\n' "${compile_flags[@]}" "${civetweb_flags[@]}"
        installed_version libfaiss-dev
        local_patches "$1" | xargs -r0 cat
    } | sha256sum | cut -d ' ' -f 1
}

python_stamp() {
    { cat "$requirements"; printf '%s\n' "$prefix/venv"; } | sha256sum | cut -d ' ' -f 1
}

is_stamped() { [[ -f $work/stamps/$1 && $(<"$work/stamps/$1") == "$2" ]]; }
set_stamp() { printf '%s\n' "$2" >"$work/stamps/$1"; }

# Package lists of our own: the system's configuration stays as it is and needs no deb-src entry.
open_source_lists() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=''
    [[ ! -f $keyring ]] || signed="[signed-by=$keyring] "
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    "$deploy/debian-mirrors.sh" | sed "s|.*|deb-src $signed& main|" >"$work/apt/sources.list"
    [[ -s $work/apt/sources.list ]] ||
        die "apt knows no Debian 12 mirror; add one to /etc/apt/sources.list"
    source_apt update
}

source_apt() {
    apt-get -qq -o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" \
        -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=3 "$@" >/dev/null
}

sums_match() { locked_sums "$1" | sha256sum --check --strict --status 2>/dev/null; }

# Leaves the checked, unpacked and patched source in $work/build/NAME.
fetch_source() {
    local name=$1
    mkdir -p "$work/sources" "$work/build"
    cd "$work/sources"
    if ! sums_match "$name"; then
        say "$name: downloading the Debian source package $(locked_version "$name")"
        [[ -d $work/apt ]] || open_source_lists
        source_apt source --download-only --only-source "$name=$(locked_version "$name")" ||
            die "$name: Debian source package $(locked_version "$name") could not be downloaded"
    fi
    sums_match "$name" || die "$name: a source file differs from deploy/third-party.lock, not built"
    rm -rf "$work/build/$name"
    dpkg-source --no-check -x "${name}_$(locked_version "$name").dsc" "$work/build/$name" >/dev/null
    local_patches "$name" | xargs -r0 cat | patch -s -d "$work/build/$name" -p1
}

# libfaiss-dev has the headers of the C API but none of its symbols.
build_faiss() {
    cd "$work/build/faiss/c_api"
    printf '%s\0' *.cpp impl/*.cpp utils/*.cpp |
        xargs -0 -P "$jobs" -I '{}' "${CXX:-c++}" -std=c++11 -fopenmp "${compile_flags[@]}" \
            -c '{}' -o '{}.o'
    ar rcs "$prefix/lib/libfaiss_c.a" ./*.o impl/*.o utils/*.o
    mkdir -p "$prefix/include/faiss/c_api/impl" "$prefix/include/faiss/c_api/utils"
    cp ./*.h "$prefix/include/faiss/c_api/"
    cp impl/*.h "$prefix/include/faiss/c_api/impl/"
    cp utils/*.h "$prefix/include/faiss/c_api/utils/"
    cp ../LICENSE "$prefix/share/faiss-LICENSE"
}

build_civetweb() {
    cd "$work/build/civetweb"
    "${CC:-cc}" -std=gnu11 "${compile_flags[@]}" "${civetweb_flags[@]}" \
        -Wno-deprecated-declarations -Iinclude -c src/civetweb.c -o civetweb.o
    ar rcs "$prefix/lib/libcivetweb.a" civetweb.o
    cp include/civetweb.h "$prefix/include/"
    cp LICENSE.md "$prefix/share/civetweb-LICENSE"
}

install_library() {
    local name=$1 stamp
    stamp=$(library_stamp "$name")
    if is_stamped "$name" "$stamp"; then
        say "$name: already built"
        return
    fi
    (fetch_source "$name")
    say "$name: building"
    rm -f "$prefix/lib/lib${name}.a" "$prefix/lib/lib${name}_c.a"
    ("build_$name")
    set_stamp "$name" "$stamp"
}

# The C API is compiled against the installed headers: both must be of one upstream version.
check_faiss_version() {
    local ours theirs
    ours=$(locked_version faiss)
    theirs=$(installed_version libfaiss-dev)
    [[ ${theirs%-*} == "${ours%-*}" ]] ||
        die "libfaiss-dev is $theirs, deploy/third-party.lock has faiss $ours; this script is for Debian 12"
}

# ---- Python ----------------------------------------------------------------------------------

# Debian's own first: another python3 may stand before it in PATH.
find_python() {
    local python
    for python in /usr/bin/python3 python3; do
        "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
            { printf '%s\n' "$python"; return; }
    done
    die "no python3 of 3.11 or later with venv"
}

install_python() {
    local stamp python
    stamp=$(python_stamp)
    if is_stamped python "$stamp"; then
        say "Python test oracles: already there"
        return
    fi
    say "Python test oracles: installing $(grep -c == "$requirements") pinned packages"
    python=$(find_python)
    rm -rf "$prefix/venv"
    "$python" -m venv "$prefix/venv"
    "$prefix/venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --only-binary :all: --requirement "$requirements"
    set_stamp python "$stamp"
}

# ---- the whole -------------------------------------------------------------------------------

# Fails when something is missing.
report() {
    local item complete=yes
    while read -r item; do
        say "missing: Debian package $item"
        complete=no
    done < <(missing_packages)
    for item in faiss civetweb; do
        is_stamped "$item" "$(library_stamp "$item")" && continue
        say "missing: library $item in $prefix"
        complete=no
    done
    if [[ $test_tools == yes ]] && ! is_stamped python "$(python_stamp)"; then
        say "missing: Python test oracles in $prefix/venv"
        complete=no
    fi
    [[ $complete == yes ]] && say "nothing is missing"
}

in_repository() { [[ $prefix == "$repo"/* ]]; }

# A prefix in the repository ignores itself. One set-up at a time writes to it.
open_prefix() {
    mkdir -p "$work/stamps" "$prefix/lib" "$prefix/include" "$prefix/share"
    if in_repository && [[ ! -f $prefix/.gitignore ]]; then printf '*\n' >"$prefix/.gitignore"; fi
    exec {lock_fd}>"$work/lock"
    flock "$lock_fd"
    rm -rf "$work/apt" "$work/build"    # left by a run that was cut off
}

# Run by sudo as a whole: what root made inside the repository belongs to the repository's owner.
close_prefix() {
    rm -rf "$work/apt" "$work/build"
    if ((EUID == 0)) && in_repository; then chown -R --reference="$repo" "$prefix"; fi
}

main() {
    read_options "$@"
    command -v apt-get dpkg-query >/dev/null || die "apt-get not found; this script is for Debian 12"
    if [[ $check == yes ]]; then report; exit; fi
    open_prefix
    install_packages
    check_faiss_version
    install_library faiss
    install_library civetweb
    [[ $test_tools == no ]] || install_python
    close_prefix
    say "done; libraries are in $prefix"
}

main "$@"

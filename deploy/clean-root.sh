#!/usr/bin/env bash
# Runs a command on the committed tree in a fresh Debian 12, and prints how long it took.
#
#   deploy/clean-root.sh [--root DIR] [--fresh] [--user] [--] COMMAND [ARGUMENT...]
#
#   --root DIR  where the Debian root lies (default: $TMPDIR/debian12). It is made when it is not
#               there; otherwise it is used as the last run left it, with a new checkout.
#   --fresh     make the root anew
#   --user      run as a user with sudo instead of as root
#
# The command runs in /home/stage4/clustering, a clone of HEAD. One argument is a shell command;
# several are run as they are. What it starts ends with it. Needs root and debootstrap.
# Mirror, apt, proxy and pip settings are those of this system.
set -euo pipefail

deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(dirname "$deploy")
root=${TMPDIR:-/tmp}/debian12
fresh=no
as_user=no
home=/home/stage4
checkout=$home/clustering

say() { printf 'clean-root: %s\n' "$*" >&2; }
die() { printf 'clean-root: error: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

read_options() {
    while (($#)); do
        case $1 in
            --root) root=${2:?--root needs a folder}; shift ;;
            --fresh) fresh=yes ;;
            --user) as_user=yes ;;
            -h | --help) usage; exit 0 ;;
            --) shift; break ;;
            -*) usage >&2; die "unknown option: $1" ;;
            *) break ;;
        esac
        shift
    done
    (($#)) || { usage >&2; die "no command given"; }
    if (($# == 1)); then command=(bash -c "$1"); else command=("$@"); fi
    root=$(realpath -m "$root")
}

# ---- the root --------------------------------------------------------------------------------

# Only a folder this script made is ever deleted, and never across a mount.
remove_root() {
    [[ -e $root ]] || return 0
    [[ -f $root/.clean-root ]] || die "$root was not made by this script; not deleted"
    rm -rf --one-file-system "$root"
}

copy_apt_settings() {
    "$deploy/debian-mirrors.sh" | sed 's/.*/deb & main/' >"$root/etc/apt/sources.list"
    # How to reach the mirror (proxies, retries, checks of dates); what is fetched stays Debian's own.
    apt-config dump | grep -E '^Acquire::(https?|Check|Retries|Queue|ForceIP|Max)' \
        >"$root/etc/apt/apt.conf.d/90host" || true
}

# pip's settings, and the certificates that this system trusts beside Debian's own.
copy_pip_settings() {
    local file
    for file in /etc/pip.conf "$HOME/.pip/pip.conf" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf"; do
        if [[ -f $file ]]; then cp "$file" "$root/etc/pip.conf"; fi
    done
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
}

# No service is started by its package, as in a container image.
forbid_services() {
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
}

make_root() {
    local mirror
    command -v debootstrap >/dev/null || die "debootstrap not found; apt-get install debootstrap"
    mirror=$("$deploy/debian-mirrors.sh" | awk '$2 == "bookworm" { print $1; exit }')
    [[ -n $mirror ]] || die "apt on this system knows no mirror of Debian 12"
    say "making a Debian 12 root in $root"
    mkdir -p "$root"
    touch "$root/.clean-root"
    debootstrap --variant=minbase bookworm "$root" "$mirror" >"$root/.debootstrap.log" 2>&1 ||
        die "debootstrap failed; see $root/.debootstrap.log"
    copy_apt_settings
    copy_pip_settings
    forbid_services
    chroot "$root" useradd --create-home --home-dir "$home" --shell /bin/bash stage4
    touch "$root/.clean-root-complete"
}

add_sudo() {
    [[ ! -x $root/usr/bin/sudo ]] || return 0
    chroot "$root" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --yes --no-install-recommends sudo' >/dev/null 2>&1
    printf 'stage4 ALL=(ALL) NOPASSWD: ALL\n' >"$root/etc/sudoers.d/stage4"
}

copy_checkout() {
    local owner=root
    [[ $as_user == no ]] || owner=stage4
    rm -rf --one-file-system "${root:?}$checkout"
    git clone --quiet --no-hardlinks "$repo" "$root$checkout"
    git -C "$root$checkout" remote remove origin
    chroot "$root" chown -R "$owner:" "$checkout"
    say "checkout of $(git -C "$repo" rev-parse --short HEAD) in $root$checkout"
}

# ---- the command -----------------------------------------------------------------------------

# Runs in a mount and process namespace of its own: the mounts and whatever the command left
# running are gone when it ends. $1 is the root, $2 the user, the rest env's arguments.
# shellcheck disable=SC2016
inside='
    set -e
    root=$1 user=$2
    shift 2
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys" 2>/dev/null || true
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    exec chroot --userspec="$user" --groups= "$root" env -i "$@"
'

# Only what reaches the registries is taken from this environment.
kept_environment() {
    local name
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
        PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT; do
        if [[ -n ${!name:-} ]]; then printf '%s\0' "$name=${!name}"; fi
    done
}

# shellcheck disable=SC2016
run_command() {
    local user=root user_home=/root environment started status=0
    [[ $as_user == no ]] || { user=stage4 user_home=$home; }
    mapfile -d '' environment < <(kept_environment)
    started=$(date +%s.%N)
    unshare --mount --pid --fork --kill-child bash -c "$inside" clean-root "$root" "$user:$user" \
        "${environment[@]}" HOME="$user_home" USER="$user" LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c 'cd "$0" && exec "$@"' "$checkout" "${command[@]}" || status=$?
    say "$(awk -v a="$started" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f s", b - a }'), exit status $status"
    return "$status"
}

main() {
    read_options "$@"
    ((EUID == 0)) || die "must be run as root"
    if [[ $fresh == yes ]]; then remove_root; fi
    if [[ -e $root && ! -f $root/.clean-root-complete ]]; then remove_root; fi
    [[ -f $root/.clean-root-complete ]] || make_root
    if [[ $as_user == yes ]]; then add_sudo; fi
    copy_checkout
    run_command
}

main "$@"

#!/usr/bin/env bash
# Prints the Debian archives this system is configured with, one "URI SUITE" a line (component
# main only), read through apt so that sources.list and deb822 files are both understood.
set -euo pipefail

# shellcheck source=/dev/null
codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")

# shellcheck disable=SC2016  # $(...) is apt's own placeholder
list_mirrors() {
    apt-get "$@" indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' \
        'Created-By: Packages' |
        awk -v code="$codename" '
            $3 == "main" && $4 == "Debian" &&
            ($2 == code || $2 == code "-updates" || $2 == code "-security") {
                if (!seen[$1 " " $2]++) print $1, $2
            }'
}

mirrors=$(list_mirrors)
if [[ -z $mirrors ]]; then
    # apt tells only of archives whose lists it has, and images delete theirs: fetch them aside.
    aside=$(mktemp -d)
    trap 'rm -rf "$aside"' EXIT
    mkdir -p "$aside/lists/partial" "$aside/cache/archives/partial"
    options=(-qq -o "Dir::State::lists=$aside/lists" -o "Dir::Cache=$aside/cache"
        -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=3)
    apt-get "${options[@]}" update >&2 || true
    mirrors=$(list_mirrors "${options[@]}")
fi
printf '%s' "${mirrors:+$mirrors$'\n'}"

#!/usr/bin/env bash
# Prints the Debian archives this system is configured with, one "URI SUITE" a line (component
# main only), read through apt so that sources.list and deb822 files are both understood.
set -euo pipefail

# shellcheck source=/dev/null
codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")

# $(...) below is apt's own placeholder syntax, not the shell's.
# shellcheck disable=SC2016
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v code="$codename" '
        $3 == "main" && ($2 == code || $2 == code "-updates" || $2 == code "-security") {
            if (!seen[$1 " " $2]++) print $1, $2
        }'

#!/usr/bin/env python3
"""Who may include whom (DESIGN: common <- proto <- {coordinator, worker, gateway} <- cli), which
file may include a third-party library, and that the coordinator's core stays pure."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

MAY_INCLUDE = {
    "common": {"common"},
    "proto": {"common", "proto"},
    "coordinator": {"common", "proto", "coordinator"},
    "worker": {"common", "proto", "worker"},
    "gateway": {"common", "proto", "gateway"},
    "cli": {"common", "proto", "coordinator", "worker", "gateway", "cli"},
}

# A library's headers, and the only files that include them. JSON values are passed around by
# their library's own type, so jansson may be included wherever JSON is read or written.
ADAPTERS = {
    r"(zmq|czmq)\.h": {"common/net/"},
    r"msgpack(\.h|/.*)": {"proto/"},
    r"faiss/.*": {"common/input/"},
    r"(cblas|openblas.*|f77blas)\.h": {"worker/compute/"},
    r"hiredis/.*": {"proto/store/redis.c"},
    r"(libpq-fe|postgres).*\.h": {"proto/store/postgres.c"},
    r"sqlite3\.h": {"common/sqlite.c", "common/sqlite.h"},
    r"yajl/.*": {"common/input/"},
    r"curl/.*": {"cli/http_client.c"},
    r"openssl/.*": {"common/sha256.c"},
    r"yaml\.h": {"common/config_yaml.c"},
    r"zstd\.h": {"common/"},
    r"civetweb\.h": {"gateway/http/"},
    r"cuda.*\.h": {"worker/compute/"},
    r"cmocka\.h": set(),
}

# The core decides and does nothing: it has no use for a header beyond these.
CORE = "coordinator/core/"
CORE_SYSTEM = {"assert.h", "stdarg.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h",
               "limits.h", "inttypes.h", "stdbool.h"}
CORE_OWN = re.compile(r"common/(error|sha256|level)\.h|proto/(client_message|worker_message|task)\.h|coordinator/core/")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def own_include(name, header):
    folder = name.split("/")[0]
    target = header.split("/")[0]
    if target not in MAY_INCLUDE:
        yield f'"{header}": write the path from the root of the repository'
    elif target not in MAY_INCLUDE[folder]:
        yield f'"{header}": {folder} may not include {target}'
    elif not (ROOT / header).is_file():
        yield f'"{header}": no such file'
    if name.startswith(CORE) and not CORE_OWN.match(header):
        yield f'"{header}": the core decides without it'


def system_include(name, header):
    for pattern, files in ADAPTERS.items():
        if re.fullmatch(pattern, header) and not any(name.startswith(file) for file in files):
            allowed = ", ".join(sorted(files)) or "the tests"
            yield f"<{header}>: only {allowed} may include it"
    if name.startswith(CORE) and header not in CORE_SYSTEM:
        yield f"<{header}>: the core has no socket, file, clock or thread"


def problems_of(name, text):
    for kind, header in INCLUDE.findall(text):
        yield from own_include(name, header) if kind == '"' else system_include(name, header)


def main():
    count = 0
    bad = []
    for folder in MAY_INCLUDE:
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            name = path.relative_to(ROOT).as_posix()
            count += 1
            bad += [f"{name}: {problem}" for problem in problems_of(name, path.read_text())]
    print("\n".join(bad) if bad else f"includes: {count} files, every include is allowed")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())

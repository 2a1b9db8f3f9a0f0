#!/usr/bin/env bash
# The distributed form of the service on this machine: Redis, PostgreSQL, coordinator, workers, gateway.
#
#   deploy/cluster.sh up [--workers N] [--threads N] [--indices DIR] [--http-port PORT] [--folder DIR]
#   deploy/cluster.sh status [--folder DIR]
#   deploy/cluster.sh down [--purge] [--folder DIR]
#
#   up      starts what is not running, and leaves alone what is; with another --workers it starts or
#           ends workers until there are N. All listen on loopback only; Redis and PostgreSQL get
#           passwords of their own.
#   status  says what runs; exit status 1 when something that was started does not
#   down    ends what `up` started and nothing else; --purge also removes the data
#
#   --workers N      worker processes (2, or as many as there were)
#   --threads N      compute threads of each (the processors shared among the workers)
#   --indices DIR    Stage 3's indices (STAGE4_INDICES, STAGE3_INDICES_PATH, else the shipped sample)
#   --http-port PORT of the REST API (the first free one from 8000 on)
#   --folder DIR     data, logs, passwords (/var/lib/stage4-cluster for root, else
#                    ~/.local/state/stage4-cluster)
#
# The programs of the service come from build/, or from STAGE4_BUILD. Nothing is built here.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${STAGE4_BUILD:-$repo/build}
folder=
workers=
threads=
indices=
http_port=
purge=no
marker=.stage4-cluster   # only a folder that holds it is ever written to or removed
patience=30              # seconds that a program has to answer, or to end

say() { printf '%s\n' "$*"; }
die() { printf 'cluster.sh: error: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

number() { # NAME VALUE MOST
    [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] && (($2 <= $3)) || die "$1 is \"$2\"; it must be from 1 to $3"
}

read_options() {
    while (($#)); do
        case $1 in
            --workers | --threads | --indices | --http-port | --folder)
                (($# > 1)) || die "$1 needs a value" ;;&
            --workers) number "$1" "$2" 64; workers=$2; shift ;;
            --threads) number "$1" "$2" 512; threads=$2; shift ;;
            --indices) indices=$2; shift ;;
            --http-port) number "$1" "$2" 65535; http_port=$2; shift ;;
            --folder) folder=$2; shift ;;
            --purge) purge=yes ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; die "unknown option: $1" ;;
        esac
        shift
    done
}

default_folder() {
    if ((EUID == 0)); then
        echo /var/lib/stage4-cluster
    else
        echo "${XDG_STATE_HOME:-${HOME:?HOME is not set; give --folder DIR}/.local/state}/stage4-cluster"
    fi
}

# ---- what is there -----------------------------------------------------------------------------

postgres_bin() { printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1; }

check_programs() {
    local missing=() program
    for program in redis-server redis-cli psql curl setpriv flock; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    [[ -x $(postgres_bin)/initdb ]] || missing+=(postgresql)
    ((${#missing[@]} == 0)) || die "not installed: ${missing[*]}; run deploy/setup.sh, or as an" \
        "administrator: apt-get install redis-server postgresql curl util-linux"
    for program in stage4-coordinator stage4-gateway stage4-worker; do
        [[ -x $build/$program ]] || die "$build/$program is not built; run:" \
            "cmake --preset release && cmake --build --preset release"
    done
}

# PostgreSQL refuses to run as root: then its own user runs it, and has to get at its folder.
postgres_user=()
if ((EUID == 0)); then postgres_user=(setpriv --reuid=postgres --regid=postgres --init-groups); fi

check_postgres_user() {
    ((EUID == 0)) || return 0
    id -u postgres >/dev/null 2>&1 ||
        die "PostgreSQL does not run as root, and there is no user postgres; run this as another user"
    "${postgres_user[@]}" test -x "$folder" || die "the user postgres, who runs PostgreSQL when you are root," \
        "cannot enter $folder; give --folder DIR that everybody may enter, such as /var/lib/stage4-cluster"
}

make_folder() {
    if [[ ! -e $folder/$marker ]]; then
        [[ ! -e $folder || -z $(ls -A "$folder") ]] ||
            die "$folder holds other things; --folder must be new, empty, or one that cluster.sh made"
        mkdir -p "$folder" 2>/dev/null || die "cannot make $folder; give --folder DIR"
        [[ -w $folder ]] || die "cannot write to $folder; give --folder DIR"
        echo "made by deploy/cluster.sh" >"$folder/$marker"
    fi
    mkdir -p "$folder"/{run,logs,redis,state,data}
    (umask 077 && mkdir -p "$folder/secrets")
}

# One cluster.sh at a time in a folder. What is started does not inherit the lock (9>&-).
lock() {
    exec 9>"$folder/run/lock"
    flock -n 9 || die "another cluster.sh is at work in $folder"
}

# What `up` was told, for the next one.
recall() { # KEY DEFAULT
    local line
    line=$(grep "^$1=" "$folder/run/settings" 2>/dev/null | tail -n 1) || { echo "$2"; return; }
    echo "${line#*=}"
}

remember() { # KEY VALUE
    local kept
    kept=$(grep -v "^$1=" "$folder/run/settings" 2>/dev/null || true)
    printf '%s\n' "$kept" "$1=$2" | sed '/^$/d' >"$folder/run/settings.new"
    mv "$folder/run/settings.new" "$folder/run/settings"
}

secret() { # NAME: made once
    local file=$folder/secrets/$1
    [[ -s $file ]] || (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$file.new" &&
        mv "$file.new" "$file")
    cat "$file"
}

# ---- processes ---------------------------------------------------------------------------------
# run/NAME.pid holds process id, start time and boot: together they name one process for ever, so a
# number that another process has got since is never taken for ours.

boot() { cat /proc/sys/kernel/random/boot_id; }

start_time() { # PID: field 22 of its stat, counted behind the name, which may hold anything
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    set -- $stat
    [[ $1 != Z ]] && echo "${20}"
}

pid_of() { # NAME: its process id, when it runs
    local pid started booted
    read -r pid started booted 2>/dev/null <"$folder/run/$1.pid" || return 1
    [[ $booted == "$(boot)" && $(start_time "$pid") == "$started" ]] && echo "$pid"
}

runs() { pid_of "$1" >/dev/null; }

# launch NAME COMMAND...: the process writes its own pid file before it becomes the command, so that
# a cluster.sh that is killed leaves nothing that nobody knows of.
launch() {
    local name=$1 file=$folder/run/$1.pid pid
    shift
    rm -f "$file"
    (
        pid=$BASHPID # not inside $(...), which is a process of its own
        echo "$pid $(start_time "$pid") $(boot)" >"$file.new" && mv "$file.new" "$file"
        exec setsid "$@" >>"$folder/logs/$name.log" 2>&1 </dev/null 9>&-
    ) &
    until [[ -e $file ]]; do sleep 0.01; done
}

await() { # NAME COMMAND...: until the command succeeds
    local name=$1 end=$((SECONDS + patience))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! runs "$name"; then return 1; fi
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

failed() { # NAME
    tail -n 5 "$folder/logs/$1.log" >&2
    die "$1 did not start; its log, $folder/logs/$1.log, ends as above"
}

end() { # NAME SIGNAL LAST_SIGNAL
    local pid until=$((SECONDS + patience))
    pid=$(pid_of "$1") || { rm -f "$folder/run/$1.pid"; return 0; }
    kill -"$2" "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true # one that was stopped hears nothing else
    while runs "$1"; do
        if ((SECONDS >= until)); then kill -"$3" "$pid" 2>/dev/null || true; fi
        sleep 0.05
    done
    rm -f "$folder/run/$1.pid"
    say "ended    $1"
}

worker_names() {
    local file
    for file in "$folder"/run/worker-*.pid; do
        if [[ -e $file ]]; then basename "$file" .pid; fi
    done | sort -V
}

# ---- ports -------------------------------------------------------------------------------------

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port NAME SERVICE FIRST: the one it had, else the next that is free from FIRST on.
port() {
    local wanted
    wanted=$(recall "$1_port" "$3")
    if ! runs "$2"; then
        while taken "$wanted"; do wanted=$((wanted + 1)); done
        remember "$1_port" "$wanted"
    fi
    echo "$wanted"
}

choose_ports() {
    if [[ -n $http_port ]] && ! runs gateway; then
        ! taken "$http_port" || die "port $http_port is taken by another program; give another --http-port"
        remember http_port "$http_port"
    elif [[ -n $http_port && $http_port != "$(recall http_port '')" ]]; then
        die "the gateway runs on port $(recall http_port ''); first: deploy/cluster.sh down"
    fi
    http_port=$(port http gateway 8000)
    client_port=$(port client coordinator 5570)
    worker_port=$(port worker coordinator $((client_port + 1)))
    redis_port=$(port redis redis 6390)
    postgres_port=$(port postgres postgres 5440)
}

# ---- the servers -------------------------------------------------------------------------------

redis_answers() {
    [[ $(REDISCLI_AUTH=$(secret redis) redis-cli -h 127.0.0.1 -p "$redis_port" ping) == PONG ]]
}

start_redis() {
    runs redis && return
    (umask 077 && cat >"$folder/secrets/redis.conf" <<CONF
bind 127.0.0.1
port $redis_port
dir $folder/redis
appendonly yes
appendfsync always
save ""
daemonize no
requirepass $(secret redis)
CONF
    )
    launch redis redis-server "$folder/secrets/redis.conf"
    await redis redis_answers || failed redis
    say "started  redis"
}

# The folder of the data appears whole or not at all: an initdb that was killed is begun again.
make_database() {
    local new=$folder/postgres/new
    [[ ! -d $folder/postgres/data ]] || return 0
    mkdir -p "$folder/postgres"
    rm -rf "$new"
    secret postgres >"$folder/postgres/password"
    if ((EUID == 0)); then chown -R postgres: "$folder/postgres"; fi
    "${postgres_user[@]}" "$(postgres_bin)/initdb" -D "$new" -U postgres -A scram-sha-256 -E UTF8 --locale=C \
        --pwfile="$folder/postgres/password" >"$folder/logs/initdb.log" 2>&1 ||
        { tail -n 5 "$folder/logs/initdb.log" >&2; die "initdb failed; see $folder/logs/initdb.log"; }
    rm -f "$folder/postgres/password"
    mv "$new" "$folder/postgres/data"
}

as_administrator() {
    PGPASSWORD=$(secret postgres) PGCONNECT_TIMEOUT=5 psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 \
        -p "$postgres_port" -U postgres -d postgres "$@"
}

# After a boot the process id in postmaster.pid may be anybody's, and PostgreSQL would give up.
forget_last_boot() {
    local booted=
    read -r _ _ booted 2>/dev/null <"$folder/run/postgres.pid" || true
    if [[ -n $booted && $booted != "$(boot)" ]]; then rm -f "$folder/postgres/data/postmaster.pid"; fi
}

# Children of a killed postmaster live on for a moment, and a new one waits for none of them.
start_postgres() {
    local attempt options=(-c listen_addresses=127.0.0.1 -c unix_socket_directories=)
    runs postgres && return
    make_database
    forget_last_boot
    for attempt in 1 2 3; do
        launch postgres "${postgres_user[@]}" "$(postgres_bin)/postgres" -D "$folder/postgres/data" \
            -p "$postgres_port" "${options[@]}"
        if await postgres as_administrator -c 'SELECT 1'; then break; fi
        ((attempt < 3)) || failed postgres
        sleep 2
    done
    STAGE4_POSTGRES_PASSWORD=$(secret stage4_user) STAGE4_POSTGRES_READER_PASSWORD=$(secret stage4_reader) \
        as_administrator -f "$repo/deploy/postgres/roles.sql" >>"$folder/logs/roles.log" 2>&1 ||
        die "the database could not be set up; see $folder/logs/roles.log"
    say "started  postgres"
}

# ---- the service -------------------------------------------------------------------------------

start_coordinator() {
    runs coordinator && return
    launch coordinator "$build/stage4-coordinator" --indices "$indices" --state "$folder/state" \
        --output-folder "$folder/data" --client-endpoint "tcp://127.0.0.1:$client_port" \
        --worker-endpoint "tcp://127.0.0.1:$worker_port" --ledger redis --redis-host 127.0.0.1 \
        --redis-port "$redis_port" --redis-password-file "$folder/secrets/redis" \
        --results postgres --postgres-host 127.0.0.1 --postgres-port "$postgres_port" \
        --postgres-user stage4_user --postgres-password-file "$folder/secrets/stage4_user"
    await coordinator taken "$worker_port" || failed coordinator
    say "started  coordinator"
}

start_gateway() {
    runs gateway && return
    launch gateway "$build/stage4-gateway" --indices "$indices" --state "$folder/state" \
        --output-folder "$folder/data" --client-endpoint "tcp://127.0.0.1:$client_port" \
        --http-listen "127.0.0.1:$http_port" --results postgres --postgres-host 127.0.0.1 \
        --postgres-port "$postgres_port" --postgres-user stage4_reader \
        --postgres-password-file "$folder/secrets/stage4_reader" --result-cache redis \
        --redis-cache-host 127.0.0.1 --redis-cache-port "$redis_port" \
        --redis-cache-password-file "$folder/secrets/redis"
    await gateway curl -fs "http://127.0.0.1:$http_port/health" || failed gateway
    say "started  gateway"
}

share_of_processors() {
    local each=$(($(nproc) / workers))
    echo $((each > 0 ? each : 1))
}

start_workers() {
    local name i
    for ((i = 1; i <= workers; i++)); do
        runs "worker-$i" && continue
        launch "worker-$i" "$build/stage4-worker" --indices "$indices" --worker-endpoint \
            "tcp://127.0.0.1:$worker_port" --threads "${threads:-$(share_of_processors)}"
        say "started  worker-$i"
    done
    for name in $(worker_names); do
        if ((${name#worker-} > workers)); then end "$name" TERM KILL; fi
    done
}

choose_indices() {
    local before
    before=$(recall indices '')
    indices=${indices:-${STAGE4_INDICES:-${STAGE3_INDICES_PATH:-${before:-$repo/tests/data/wiki2015}}}}
    [[ -d $indices ]] || die "$indices is not a folder; --indices names the one with Stage 3's indices"
    indices=$(cd "$indices" && pwd)
    if runs coordinator && [[ $indices != "$before" ]]; then
        die "the cluster runs on $before; to change the indices, first: deploy/cluster.sh down"
    fi
    remember indices "$indices"
}

# ---- what people ask for -----------------------------------------------------------------------

what_next() {
    local url=http://127.0.0.1:$http_port
    cat <<TEXT

REST API    $url
Redis       127.0.0.1:$redis_port, password in $folder/secrets/redis
PostgreSQL  127.0.0.1:$postgres_port, database stage4_clustering, roles stage4_user and stage4_reader,
            passwords in $folder/secrets
indices     $indices
JSONL       $folder/data
logs        $folder/logs

next:
  $build/stage4 submit --url $url --embedding-type events --param min_cluster_size=3 --wait
  $build/stage4 status --url $url
  $build/stage4 clusters --url $url
  ${BASH_SOURCE[0]} down --folder $folder
TEXT
}

up() {
    check_programs
    make_folder
    check_postgres_user
    lock
    choose_indices
    choose_ports
    workers=${workers:-$(recall workers 2)}
    remember workers "$workers"
    start_redis
    start_postgres
    start_coordinator
    start_workers
    start_gateway
    what_next
}

names() {
    printf '%s\n' redis postgres coordinator
    worker_names
    echo gateway
}

address_of() { # NAME
    case $1 in
        gateway) echo "http://127.0.0.1:$(recall http_port '?')" ;;
        coordinator) echo "127.0.0.1:$(recall client_port '?') and $(recall worker_port '?')" ;;
        redis | postgres) echo "127.0.0.1:$(recall "$1_port" '?')" ;;
    esac
}

status() {
    local name pid down=0
    [[ -e $folder/$marker ]] || { say "no cluster in $folder"; return 1; }
    for name in $(names); do
        if pid=$(pid_of "$name"); then
            printf '%-12s runs, process %-8s %s\n' "$name" "$pid" "$(address_of "$name")"
        else
            printf '%-12s does not run\n' "$name"
            down=1
        fi
    done
    say "data and logs in $folder"
    return "$down"
}

down() {
    local name
    [[ -e $folder/$marker ]] || { say "no cluster in $folder"; return 0; }
    lock
    end gateway TERM KILL
    for name in $(worker_names); do end "$name" TERM KILL; done
    end coordinator TERM KILL
    end postgres INT QUIT
    end redis TERM KILL
    if [[ $purge == yes ]]; then
        rm -rf "${folder:?}"/{run,logs,redis,state,data,postgres,secrets,"$marker"}
        rmdir "$folder" 2>/dev/null || true
        say "removed  $folder"
    else
        say "the data stays in $folder; down --purge removes it"
    fi
}

main() {
    local verb=${1:-}
    case $verb in
        up | down | status) shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    read_options "$@"
    folder=$(realpath -m "${folder:-$(default_folder)}")
    "$verb"
}

main "$@"

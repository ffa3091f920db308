#!/bin/sh
# Solves the jobs of this folder with WinPropCLI, one process for each. Start it again after it
# was stopped: jobs that are done are skipped, a half-finished one is solved anew.
#
#   ./run.sh          all jobs, one after the other
#   ./run.sh K N      the K-th of N shares: start N of them to use N processes (and licences)
#
#   WINPROPCLI   the program; WinPropCLI on the PATH when not set
#   THREADS      threads of each process, -1 for all cores; 1 when not set
#   CONVERT      a program that makes a job's building database, called as
#                CONVERT .../buildings.shp .../buildings; not needed where @DATABASE@ is there
#
# A job is done when WinPropCLI ended with 0 and every result it was asked for is there. What it
# printed is in the job's log.txt.
set -u
root=$(cd "$(dirname "$0")" && pwd) || exit 1
winpropcli=${WINPROPCLI:-WinPropCLI}
share=${1:-1}
shares=${2:-1}
case "$share$shares" in
*[!0-9]*) echo "usage: $0 [K N], 1 <= K <= N" >&2; exit 2 ;;
esac
if [ "$share" -lt 1 ] || [ "$share" -gt "$shares" ]; then
    echo "usage: $0 [K N], 1 <= K <= N" >&2
    exit 2
fi

solve() {
    job=$root/$1
    log=$job/log.txt
    rm -rf "$job/results" "$job/results.partial"
    : >"$log"
    if [ ! -s "$job/@DATABASE@" ] && [ -n "${CONVERT:-}" ]; then
        "$CONVERT" "$job/buildings.shp" "$job/buildings" >>"$log" 2>&1 </dev/null
    fi
    if [ ! -s "$job/@DATABASE@" ]; then
        echo "@DATABASE@ is missing: convert buildings.shp, or set CONVERT" >>"$log"
        return 1
    fi
    mkdir "$job/results.partial" || return 1
    if ! "$winpropcli" -F "$job/project.net" -P --results-pro "$job/results.partial" \
        --multi-threading "${THREADS:-1}" --disable-project-update >>"$log" 2>&1 </dev/null; then
        echo "WinPropCLI failed" >>"$log"
        return 1
    fi
    while IFS= read -r wanted; do
        if [ ! -s "$job/results.partial/$wanted" ]; then
            echo "WinPropCLI wrote no $wanted" >>"$log"
            return 1
        fi
    done <"$job/expected.txt"
    mv "$job/results.partial" "$job/results" && : >"$job/done"
}

number=0 skipped=0 solved=0 failed=0
while IFS= read -r name; do
    number=$((number + 1))
    if [ $(((number - share) % shares)) -ne 0 ]; then
        continue
    elif [ -e "$root/$name/done" ]; then
        skipped=$((skipped + 1))
    elif solve "$name"; then
        solved=$((solved + 1))
        echo "done    $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name: $(tail -n 1 "$root/$name/log.txt")" >&2
    fi
done <"$root/jobs.txt"
echo "$solved solved, $skipped were done before, $failed failed"
[ "$failed" -eq 0 ]

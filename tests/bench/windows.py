#!/usr/bin/env python3
"""What a time window costs: the same vectors with windows of several widths, a Markdown table.

    tests/bench/windows.py --build build [--rows 100000] [--days 365] [--widths 3,15,60]
                           [--from tests/data/wiki2015/events.index]

Vectors are made (make_vectors.py) with days over a year. Pairs are the ordered ones within the
window, counted here from the days; a cost that follows them has a last column of one height, but
for what every row costs whatever its window is (reading, codes, output)."""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


def pairs_within(days, width):
    count = collections.Counter(days)
    return sum(number * count[day + step] for day, number in count.items()
               for step in range(-width, width + 1))


def days_of(metadata):
    import datetime
    entries = json.loads(metadata.read_text(encoding="utf-8"))["metadata_store"].values()
    texts = (entry["metadata"]["temporal_reference"][:10] for entry in entries)
    return [datetime.date.fromisoformat(text).toordinal() for text in texts]


def run(build, folder, width, work):
    """CPU seconds of the whole run, and its report."""
    command = [build / "stage4", "run", "--indices", folder, "--embedding-type", "events", "--threads",
               "2", "--param", "min_cluster_size=5", "--param", "min_samples=5", "--window-days", width,
               "--output", work / "out.jsonl", "--report", work / "report.json"]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"windows.py: stage4 run ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, json.loads((work / "report.json").read_text())


def measure(options, work):
    folder = work / "made"
    source = ["--from", options.source] if options.source else []
    subprocess.run([sys.executable, HERE / "make_vectors.py", folder, str(options.rows), "--days",
                    str(options.days), *source], check=True)
    days = days_of(folder / "events_metadata.json")
    before = None
    print("| window | pairs | CPU seconds | phase neighbours, s | ns a further pair |")
    print("|---|---|---|---|---|")
    for width in sorted(int(text) for text in options.widths.split(",")):
        seconds, report = run(options.build, folder, width, work)
        pairs = pairs_within(days, width)
        phase = sum(item["seconds"] for item in report["times"] if item["phase"] == "neighbours")
        further = f"{(seconds - before[0]) / (pairs - before[1]) * 1e9:.2f}" if before else ""
        print(f"| ±{width} days | {pairs / 1e6:,.0f} M | {seconds:.1f} | {phase:.1f} | {further} |",
              flush=True)
        before = seconds, pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--widths", default="3,15,60")
    parser.add_argument("--from", dest="source")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stage4-windows-") as work:
        measure(options, pathlib.Path(work))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes OUT/events.index and events_metadata.json: as many vectors as wanted, made from real ones.

    tests/bench/make_vectors.py OUT COUNT [--from tests/data/wiki2015/events.index] [--seed 1]
                                [--noise 0.2] [--days 365] [--base 20000]

A made vector is a convex mixture of a real one and one of its eight nearest neighbours, plus normal
noise of that length (to a vector of length 1), and is normalised: groups stay groups, and no two
vectors are equal. Its day, domain and event_type go by the real vector it is made from. The same
arguments give the same bytes; memory does not grow with COUNT. Of a larger set of real vectors a
random --base of rows is used."""
import argparse
import json
import pathlib
import struct

import numpy as np

HEADER = struct.Struct("<4siqqqBiQ")  # fourcc, dimension, rows, two unused, trained, metric, floats
NEIGHBOURS = 8
PIECE = 10000  # rows made at once
DOMAINS = ["diplomatic_relations", "military_operations", "economic_policy", "elections",
           "technology_science", "disaster", "health"]
TYPES = ["contact_meet", "policy_change", "conflict_attack", "legal_trial", "disaster_accident"]


def read_rows(path, most, random):
    with open(path, "rb") as file:
        _, dimension, rows, *_ = HEADER.unpack(file.read(HEADER.size))
    real = np.memmap(path, "<f4", "r", HEADER.size, (rows, dimension))
    chosen = np.sort(random.permutation(rows)[:most])
    return np.ascontiguousarray(real[chosen])


def neighbours_of(real):
    """The nearest rows of each row, itself left out; NEIGHBOURS columns, or as many as there are."""
    wanted = min(NEIGHBOURS, len(real) - 1)
    if wanted < 1:
        raise SystemExit("make_vectors.py: --from needs two vectors at least")
    found = np.empty((len(real), wanted), np.int32)
    for start in range(0, len(real), 1000):
        near = real[start:start + 1000] @ real.T
        near[np.arange(len(near)), start + np.arange(len(near))] = -np.inf
        found[start:start + 1000] = np.argpartition(-near, wanted - 1)[:, :wanted]
    return found


def mixtures(real, near, parents, noise, random):
    other = near[parents, random.integers(0, near.shape[1], len(parents))]
    weight = random.uniform(0.5, 1.0, (len(parents), 1)).astype(np.float32)
    made = weight * real[parents] + (1 - weight) * real[other]
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    made += random.standard_normal(made.shape, np.float32) * np.float32(
        noise / np.sqrt(real.shape[1]))
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def write_index(path, real, parents, noise, random):
    dimension = real.shape[1]
    near = neighbours_of(real)
    with open(path, "wb") as out:
        out.write(HEADER.pack(b"IxFI", dimension, len(parents), 1 << 20, 1 << 20, 1, 0,
                              len(parents) * dimension))
        for start in range(0, len(parents), PIECE):
            piece = parents[start:start + PIECE]
            out.write(mixtures(real, near, piece, noise, random).astype("<f4").tobytes())


def entry(row, parent, day):
    date = np.datetime64("2015-01-01") + int(day)
    return {"source_id": "made_%07d_event_%d" % (row // 7, row % 7), "embedding_type": "event",
            "metadata": {"document_id": "made_%07d" % (row // 7),
                         "event_type": TYPES[parent % len(TYPES)],
                         "domain": DOMAINS[parent % len(DOMAINS)],
                         "temporal_reference": "%sT00:00:00Z" % date,
                         "event_description": "Event %d, made from row %d." % (row, parent)}}


def write_metadata(path, parents, days):
    names = ["event_emb_made_%07d_event_%d" % (row // 7, row % 7) for row in range(len(parents))]
    with open(path, "w", encoding="utf-8") as out:
        out.write('{"metadata_store": {')
        for row, parent in enumerate(parents.tolist()):
            text = json.dumps(entry(row, parent, days[row]))
            out.write('%s"%s": %s' % (", " if row else "", names[row], text))
        out.write('}, "id_map": {')
        out.write(", ".join('"%s": %d' % (name, row) for row, name in enumerate(names)))
        out.write('}, "reverse_id_map": {')
        out.write(", ".join('"%d": "%s"' % (row, name) for row, name in enumerate(names)))
        out.write("}}\n")


def make(out, count, source, seed=1, noise=0.2, days=365, base=20000):
    random = np.random.default_rng(seed)
    out.mkdir(parents=True, exist_ok=True)
    real = read_rows(source, base, random)
    parents = random.integers(0, len(real), count, np.int32)
    centre = random.integers(0, days, len(real))  # what happened once is told of within a week
    when = np.clip(centre[parents] + random.integers(-3, 4, count), 0, days - 1)
    write_index(out / "events.index", real, parents, noise, random)
    write_metadata(out / "events_metadata.json", parents, when)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, metavar="OUT")
    parser.add_argument("count", type=int, metavar="COUNT")
    parser.add_argument("--from", dest="source", type=pathlib.Path,
                        default=root / "tests/data/wiki2015/events.index")
    for name, value in (("seed", 1), ("noise", 0.2), ("days", 365), ("base", 20000)):
        parser.add_argument("--" + name, type=type(value), default=value)
    make(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()

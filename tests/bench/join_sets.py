#!/usr/bin/env python3
"""Writes one level out of all the sets of a folder: <out>/events.index and events_metadata.json.

usage: join_sets.py SETS_FOLDER OUT_FOLDER"""
import json
import pathlib
import struct
import sys

import numpy as np


def read_index(path):
    raw = path.read_bytes()
    dimension, rows = struct.unpack_from("<iq", raw, 4)
    values = np.frombuffer(raw, "<f4", rows * dimension, len(raw) - 4 * rows * dimension)
    return values.reshape(rows, dimension)


def write_index(path, values):
    rows, dimension = values.shape
    head = b"IxFI" + struct.pack("<iqqqBiQ", dimension, rows, 1 << 20, 1 << 20, 1, 0, values.size)
    path.write_bytes(head + values.tobytes())


def event_of(name, metadata):
    """An entry of the events level that carries what every level has."""
    text = metadata.get("title") or metadata.get("event_description") or name
    return {"source_id": name, "embedding_type": "event",
            "metadata": {"document_id": metadata.get("document_id", name), "event_type": "report",
                         "domain": metadata.get("domain", "none"),
                         "event_description": text}}


def main():
    sets, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    store, order, parts = {}, [], []
    for index in sorted(sets.glob("*/*.index")):
        name = f"{index.parent.name}_{index.stem}"
        text = (index.parent / f"{index.stem}_metadata.json").read_text(encoding="utf-8")
        entries = json.loads(text)
        values = read_index(index)
        ids = entries["reverse_id_map"]
        for row in range(len(values)):
            entry = entries["metadata_store"].get(ids[str(row)])
            if entry is None:
                raise SystemExit(f"{index}: row {row} has no entry")
            order.append(f"event_emb_{name}_{row}")
            store[order[-1]] = event_of(f"{name}_{row}", entry["metadata"])
        parts.append(values)
    write_index(out / "events.index", np.concatenate(parts))
    made = {"metadata_store": store, "id_map": {key: row for row, key in enumerate(order)},
            "reverse_id_map": {str(row): key for row, key in enumerate(order)}}
    (out / "events_metadata.json").write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
    print(len(order), "vectors")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the first inputs of the fuzzers: tests/fuzz/corpus/index/* and corpus/metadata/*."""
import json
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(folder, name, data):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as out:
        out.write(data)


def index(fourcc, rows, metric):
    vectors = [1.0, 0.0, 0.0, 0.0] * rows
    return (fourcc + struct.pack("<iqqqBiQ", 4, rows, 1 << 20, 1 << 20, 1, metric, 4 * rows)
            + struct.pack(f"<{4 * rows}f", *vectors))


FIELDS = {
    "document": {"title": "T\u00e9", "publication_date": "2015-09-12T00:00:00Z"},
    "event": {"document_id": "d0", "domain": "military", "event_type": "talks",
              "temporal_reference": "2015-09-12", "event_description": "x \u20ac",
              "confidence": float("nan")},
    "entity": {"entity_type": "PER", "entity_text": "X", "context": None},
    "storyline": {"event_ids": ["d0_event_1", "d1_event_2"], "domain": "x",
                  "temporal_span": ["2015-09-01", "2015-09-03"], "storyline_summary": "s"},
}


def metadata(level, rows):
    kind = list(FIELDS)[level]
    ids = [f"{kind}_{row}" for row in range(rows)]
    text = json.dumps({
        "metadata_store": {name: {"source_id": f"d{row}_{kind}_{row}", "embedding_type": kind,
                                  "metadata": FIELDS[kind]} for row, name in enumerate(ids)},
        "id_map": {name: row for row, name in enumerate(ids)},
        "reverse_id_map": {str(row): name for row, name in enumerate(ids)},
    })
    return bytes([level + 4 * rows]) + text.encode()


if __name__ == "__main__":
    write("index", "inner_product", index(b"IxFI", 3, 0))
    write("index", "l2", index(b"IxF2", 2, 1))
    write("index", "flat", index(b"IxFl", 1, 1))
    write("index", "empty", index(b"IxFI", 0, 0))
    for number, kind in enumerate(FIELDS):
        write("metadata", kind, metadata(number, 2))

#!/usr/bin/env python3
"""Writes <folder>/events_metadata.json with COUNT entries, as Stage 3 does: ~600 bytes an entry.

usage: make_metadata.py FOLDER [COUNT]     (1,000,000 by default; seeded, always the same bytes)
"""
import json
import os
import random
import sys

DOMAINS = ["diplomatic_relations", "military_operations", "economic_policy", "elections",
           "technology_science", "disaster", "health", "diplomatic"]
TYPES = ["contact_meet", "policy_change", "conflict_attack", "legal_trial", "disaster_accident"]
WORDS = ("minister parliament border agreement sanctions Zürich court hearing earthquake election "
         "protest ceasefire summit inflation satellite vaccine refugees pipeline São Paulo treaty "
         "investigation coalition budget wildfire").split()


def entry(rng, document, event):
    day = rng.randrange(1, 29)
    words = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(12, 26)))
    return {
        "source_id": f"{document}_event_{event}",
        "embedding_type": "event",
        "metadata": {
            "document_id": document,
            "event_type": rng.choice(TYPES),
            "domain": rng.choice(DOMAINS),
            "sentiment": rng.choice(["positive", "neutral", "negative"]),
            "confidence": round(rng.random(), 4),
            "temporal_reference": f"2015-{rng.randrange(1, 13):02d}-{day:02d}T00:00:00Z",
            "argument_count": rng.randrange(0, 6),
            "event_description": words.capitalize() + ".",
        },
    }


def main():
    folder, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    rng = random.Random(4)
    ids = []
    with open(os.path.join(folder, "events_metadata.json"), "w", encoding="utf-8") as out:
        out.write('{"metadata_store": {')
        for row in range(count):
            document = f"wt_{rng.getrandbits(48):012x}"
            item = entry(rng, document, row % 7)
            ids.append(f"event_emb_{item['source_id']}")
            text = json.dumps(item, ensure_ascii=False)
            out.write(f'{", " if row else ""}"{ids[-1]}": {text}')
        out.write('}, "id_map": {')
        out.write(", ".join(f'"{name}": {row}' for row, name in enumerate(ids)))
        out.write('}, "reverse_id_map": {')
        out.write(", ".join(f'"{row}": "{name}"' for row, name in enumerate(ids)))
        out.write("}}\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The compose file and the image, as far as they can be checked without a container engine."""
import re
import subprocess

import yaml

import harness
from harness import BUILD, ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.infrastructure.yml").read_text())
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PROGRAMS = ("stage4", "stage4-gateway", "stage4-coordinator", "stage4-worker")


def settings():
    """The environment names that the programs read."""
    _, text, _ = harness.stage4("help", "settings")
    return set(re.findall(r"`([A-Z0-9_]+)`", text))


def the_services_join_the_pipelines_network():
    assert COMPOSE["networks"]["storytelling"] == {"external": True, "name": "storytelling"}
    for name, service in COMPOSE["services"].items():
        assert "storytelling" in service["networks"], name
        assert "ports" not in service, name
        assert service["user"] == "1000:1000", name
        assert service["deploy"]["resources"]["limits"], name


def workers_can_be_scaled():
    named = [n for n, s in COMPOSE["services"].items() if "container_name" in s]
    assert named == ["clustering-orchestrator"], named


def every_service_runs_a_program_with_settings_that_it_knows():
    known = settings()
    assert len(known) > 20, known
    for name, service in COMPOSE["services"].items():
        assert service["command"][0] in PROGRAMS, name
        unknown = set(service["environment"]) - known
        assert not unknown, (name, unknown)


def the_indices_are_read_only_everywhere():
    for name, service in COMPOSE["services"].items():
        mounts = [m for m in service["volumes"] if "vector_indices" in m]
        assert mounts and all(m.endswith(":ro") for m in mounts), (name, mounts)


def the_image_has_every_library_that_the_programs_need():
    needed = set()
    for program in PROGRAMS:
        text = subprocess.run(["objdump", "-p", str(BUILD / program)], capture_output=True,
                              text=True, check=True).stdout
        needed |= set(re.findall(r"NEEDED\s+(\S+)", text))
    sanitizers = {n for n in needed if n.startswith(("libasan", "libubsan"))}
    for library in sorted(needed - sanitizers):
        owners = subprocess.run(["dpkg", "-S", library], capture_output=True, text=True,
                                check=True).stdout
        packages = {line.split(":")[0] for line in owners.splitlines() if library in line}
        packages -= {p for p in packages if p.endswith(("-dev", "-dbg"))}
        base = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g"}
        assert packages & base or any(re.search(r"\s%s\s" % re.escape(p), DOCKERFILE)
                                      for p in packages), (library, packages)


def the_image_runs_as_nobody_special():
    _, build, run = DOCKERFILE.split("\nFROM ")
    assert "cmake --install" in build
    assert "\nUSER 1000:1000\n" in run and "build-essential" not in run


if __name__ == "__main__":
    harness.main([
        the_services_join_the_pipelines_network,
        workers_can_be_scaled,
        every_service_runs_a_program_with_settings_that_it_knows,
        the_indices_are_read_only_everywhere,
        the_image_has_every_library_that_the_programs_need,
        the_image_runs_as_nobody_special,
    ])

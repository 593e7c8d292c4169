#!/usr/bin/env python3
"""Writes a device tree for QEMU's `virt` machine in which the kernel sees two core PMUs, as on an RK3588.

    two-clusters.py SMALL BIG OUTPUT.dtb

CPUs 0 to SMALL-1 get an armv8_cortex_a55, the BIG others an armv8_cortex_a76, and each kind a capacity of its own. The
cores themselves all stay what QEMU's -cpu says. One interrupt number serves both PMUs, which a GICv3 can tell apart
by CPU ("PPI partitions") when interrupts have a fourth cell. Needs qemu-system-aarch64 and dtc.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

CAPACITY = {"a55": 530, "a76": 1024}
GIC = "intc@8000000 {"


def machine_tree(cpus: int, folder: pathlib.Path) -> str:
    binary = folder / "virt.dtb"
    subprocess.run(
        ["qemu-system-aarch64", "-M", f"virt,gic-version=3,dumpdtb={binary}", "-cpu", "cortex-a76",
         "-smp", str(cpus), "-m", "1G", "-display", "none", "-nodefaults"],
        check=True, capture_output=True,
    )  # fmt: skip
    tree = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", binary], check=True, capture_output=True, text=True)
    return tree.stdout


def with_fourth_cell(match: re.Match, width: int) -> str:
    """Appends a cell that names no partition to each group of cells."""
    cells = match[2].split()
    assert len(cells) % width == 0, match[0]
    groups = [" ".join(cells[start : start + width] + ["0x00"]) for start in range(0, len(cells), width)]
    return f"{match[1]}<{' '.join(groups)}>"


def two_clusters(tree: str, small: int, big: int) -> str:
    # An interrupt is its kind, number and trigger; an entry of an interrupt map is ten cells that end with one.
    tree = re.sub(r"(\n\t+interrupts = )<([^>]*)>", lambda match: with_fourth_cell(match, 3), tree)
    tree = re.sub(r"(\n\t+interrupt-map = )<([^>]*)>", lambda match: with_fourth_cell(match, 10), tree)
    handles = [re.search(rf"cpu@{cpu:x} \{{\s*phandle = <(0x\w+)>", tree)[1] for cpu in range(small + big)]
    clusters = {"a55": (handles[:small], "0x9001"), "a76": (handles[small:], "0x9002")}
    partitions, units = "", ""
    for index, (name, (members, handle)) in enumerate(clusters.items()):
        partitions += f"interrupt-partition-{index} {{ affinity = <{' '.join(members)}>; phandle = <{handle}>; }}; "
        units += (
            f'\n\tpmu-{name} {{ compatible = "arm,cortex-{name}-pmu"; '
            f"interrupts = <0x01 0x07 0x04 {handle}>; }};"
        )
    start = tree.index("#interrupt-cells = <0x03>;", tree.index(GIC))
    end = start + len("#interrupt-cells = <0x03>;")
    tree = f"{tree[:start]}#interrupt-cells = <0x04>; ppi-partitions {{ {partitions}}};{tree[end:]}"
    tree = re.sub(r"\n\tpmu \{.*?\n\t\};", lambda _: units, tree, flags=re.DOTALL)
    for cpu in range(small + big):
        capacity = CAPACITY["a55" if cpu < small else "a76"]
        tree = tree.replace(f"\tcpu@{cpu:x} {{", f"\tcpu@{cpu:x} {{ capacity-dmips-mhz = <{capacity}>;")
    return tree


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    small, big, output = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        tree = two_clusters(machine_tree(small + big, pathlib.Path(folder)), small, big)
        subprocess.run(
            ["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", output], input=tree, check=True, text=True
        )


if __name__ == "__main__":
    main()

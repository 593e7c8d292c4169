let helpText = """
  pi-record [options] -- COMMAND [ARG...]   start COMMAND and record its inference from the first token
  pi-record [options] --pid PID             attach to a running process; it goes on when recording ends
  pi-record doctor [--pid PID | FILE...]    what can be probed here, what cannot, why, and what to do
  pi-record list-pmc                        the counters of this machine, and which really count
  pi-record calibrate [-o FILE]             measures what this machine can read and calculate at most with 1, 2 …
                                            threads, and what a probe hit costs: some seconds, in which other
                                            programs wait. Kept in /var/lib/pi-record/ceilings.json, from where
                                            recordings put it into their traces; -o - writes it to standard output

  Records an unmodified llama.cpp with eBPF: token steps, graphs, operators, MoE routing.
  Analyse the trace with prof-analyze.

    -o, --output FILE   the trace; - for standard output (COMMAND's own then goes to
                        standard error)   (COMMAND-YYYYMMDDTHHMMSSZ.pitrace)
    --level LEVEL       token, graph or op; each includes those before   (op)
    --no-structure      times only: no tensors, no graph
    --no-experts        do not read MoE routing
    --pmc LIST          counters of the processor or the kernel, at most 8, such as cycles,instructions,
                        raw:0x2a, page-faults; 'pi-record list-pmc' names them   (none)
    --sched             running, runnable and blocked time of the target's threads, migrations, and who
                        took the core
    --qos-min-tps N     take the operator probes out while decoding is slower than N tokens/s
    --no-halt           do not stop COMMAND for a moment whenever it has loaded code: its first tokens may be
                        missed, but a shell with job control among its processes notices nothing
    --tokens N          stop recording after N token steps
    --duration S        stop recording after S seconds
    --buffer MIB        ring buffer, a power of two   (4)
    --compress LEVEL    zstd level, 1 to 19; those above 4 are as 4   (1)
    --calibrate         do 'pi-record calibrate' before recording, for this trace only
    --ceilings FILE     put what 'calibrate -o FILE' wrote into the trace   (the machine's own, where it has one)
    --config FILE       options from a file, one 'name = value' a line
    -q, --quiet         no progress, no summary
    -v, --verbose       also what the kernel says of the BPF programs
    --version, -h, --help

  Exit status: COMMAND's own (128 + signal if it died of one); 2 usage; 125 pi-record could not
  do its work; 126 COMMAND is not executable; 127 COMMAND not found.

  """

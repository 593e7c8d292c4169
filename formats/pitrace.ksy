# The trace format as a Kaitai Struct description: independent of pi_trace.h and of the Swift reader, and run against the
# golden traces by Tests/EndToEnd/test_ksy.py. TRACE-FORMAT.md explains what is only named here.
#
# What Kaitai Struct cannot say, the target language's two processing classes do:
#   pitrace_codec(codec, raw_bytes)  codec 0: the bytes as they are; 1: one zstd frame of raw_bytes bytes
#   pitrace_rows(encoding, record_bytes, count, delta_columns)  encoding 0: as they are; 1: columns back into rows
# and the checksums stay unchecked.
meta:
  id: pitrace
  title: Recording of an LLM inference by pi-record
  file-extension: pitrace
  license: MIT
  endian: le
seq:
  - id: header
    type: file_header
  - id: chunks
    type: chunk
    repeat: eos
types:
  file_header:
    seq:
      - id: magic
        contents: [0x93, 0x50, 0x49, 0x54, 0x52, 0x0d, 0x0a, 0x1a]
      - id: major
        type: u2
      - id: minor
        type: u2
      - id: header_bytes
        type: u4
      - id: required_features
        type: u8
      - id: optional_features
        type: u8
      - id: trace_id
        size: 16
      - id: created_realtime_ns
        type: u8
      - id: machine
        type: u4
      - id: crc32
        type: u4
      - id: extra
        size: header_bytes - 64
  chunk:
    seq:
      - id: magic
        contents: PICK
      - id: kind
        type: u2
        enum: chunk_kind
      - id: codec
        type: u2
      - id: header_bytes
        type: u4
      - id: stored_bytes
        type: u4
      - id: raw_bytes
        type: u4
      - id: number
        type: u4
      - id: first_time_ns
        type: u8
      - id: last_time_ns
        type: u8
      - id: record_count
        type: u4
      - id: cpu_count
        type: u2
      - id: group_count
        type: u2
      - id: payload_crc32
        type: u4
      - id: header_crc32
        type: u4
      - id: reserved
        type: u8
      - id: cpus
        type: cpu_entry
        repeat: expr
        repeat-expr: cpu_count
      - id: groups
        type: group_entry
        repeat: expr
        repeat-expr: group_count
      - id: extra
        size: header_bytes - 64 - 16 * (cpu_count + group_count)
      - id: payload
        size: stored_bytes
        process: pitrace_codec(codec, raw_bytes)
        type:
          switch-on: kind
          cases:
            chunk_kind::metadata: metadata
            chunk_kind::events: records
            chunk_kind::end: records
  cpu_entry:
    seq:
      - id: cpu
        type: u2
      - id: reserved
        type: u2
      - id: first_sequence
        type: u4
      - id: last_sequence
        type: u4
      - id: count
        type: u4
  group_entry:
    seq:
      - id: type
        type: u1
        enum: record_type
      - id: encoding
        type: u1
      - id: record_bytes
        type: u2
      - id: count
        type: u4
      - id: delta_columns
        type: u4
      - id: reserved
        type: u4
  metadata:
    seq:
      - id: json
        type: str
        encoding: UTF-8
        size-eos: true
  records:
    seq:
      - id: groups
        type: group(_parent.groups[_index])
        size: _parent.groups[_index].record_bytes * _parent.groups[_index].count
        process: pitrace_rows(_parent.groups[_index].encoding, _parent.groups[_index].record_bytes, _parent.groups[_index].count, _parent.groups[_index].delta_columns)
        repeat: expr
        repeat-expr: _parent.group_count
  group:
    params:
      - id: info
        type: group_entry
    seq:
      - id: records
        type: record
        size: info.record_bytes
        repeat: expr
        repeat-expr: info.count
  record:
    seq:
      - id: time_ns
        type: u8
      - id: tid
        type: u4
      - id: cpu
        type: u2
      - id: type
        type: u1
        enum: record_type
      - id: flags
        type: u1
      - id: sequence
        type: u4
      - id: ref
        type: u4
      - id: body
        size-eos: true
        type:
          switch-on: type
          cases:
            record_type::token_begin: token_begin
            record_type::ubatch_begin: ubatch_begin
            record_type::graph_begin: graph_begin
            record_type::op_fused: op_fused
            record_type::structure_begin: structure_begin
            record_type::node_list: node_list
            record_type::tensor: tensor
            record_type::structure_end: structure_end
            record_type::experts: experts
            record_type::switch_out: switch_out
            record_type::backend: backend
            record_type::clock: clock
            record_type::loss: loss
            record_type::cost: cost
            record_type::thread: thread
            record_type::site: site
            record_type::temperature: temperature
            record_type::counter: counter
            record_type::end: end
            _: bare
  # No fields of its own. In a recording with counters, some types have their values behind what is described here.
  bare:
    seq:
      - id: counters
        type: u8
        repeat: eos
  token_begin:
    seq:
      - id: context
        type: u8
      - id: argument
        type: u8
      - id: counters
        type: u8
        repeat: eos
  ubatch_begin:
    seq:
      - id: context
        type: u8
      - id: position
        type: s4
      - id: n_sequences
        type: u4
  graph_begin:
    seq:
      - id: cgraph
        type: u8
      - id: uid
        type: u8
      - id: backend
        type: u8
      - id: n_nodes
        type: s4
      - id: n_threads
        type: s4
      - id: counters
        type: u8
        repeat: eos
  op_fused:
    seq:
      - id: last_ref
        type: u4
      - id: reserved
        type: u4
      - id: counters
        type: u8
        repeat: eos
  structure_begin:
    seq:
      - id: cgraph
        type: u8
      - id: nodes
        type: u8
      - id: uid
        type: u8
      - id: n_nodes
        type: s4
      - id: n_leafs
        type: s4
  node_list:
    seq:
      - id: first
        type: u4
      - id: count
        type: u4
      - id: address
        type: u8
        repeat: expr
        repeat-expr: 64
  tensor:
    seq:
      - id: address
        type: u8
      - id: tensor_bytes
        type: u4
      - id: reserved
        type: u4
      - id: bytes
        size: tensor_bytes
  structure_end:
    seq:
      - id: tensors
        type: u4
      - id: unwritten
        type: u4
      - id: unreadable
        type: u4
      - id: node_limit
        type: u4
  experts:
    seq:
      - id: token
        type: u4
      - id: token_count
        type: u4
      - id: used
        type: u4
      - id: reserved
        type: u4
      - id: ids
        type: s4
        repeat: expr
        repeat-expr: used
  switch_out:
    seq:
      - id: next_tgid
        type: u4
      - id: reserved
        type: u4
      - id: next_comm
        size: 16
      - id: counters
        type: u8
        repeat: eos
  backend:
    seq:
      - id: backend
        type: u8
      - id: guid
        size: 16
  clock:
    seq:
      - id: boottime_ns
        type: s8
      - id: realtime_ns
        type: s8
  loss:
    seq:
      - id: lost_records
        type: u8
      - id: unreadable
        type: u8
      - id: experts_cut
        type: u8
      - id: last_sequence
        type: u8
  cost:
    seq:
      - id: cpu_ns
        type: u8
      - id: resident_bytes
        type: u8
      - id: written_bytes
        type: u8
      - id: records
        type: u8
  thread:
    seq:
      - id: tgid
        type: u4
      - id: reserved
        type: u4
      - id: comm
        size: 16
  site:
    seq:
      - id: hits
        type: u8
  temperature:
    seq:
      - id: millicelsius
        type: s4
      - id: reserved
        type: u4
  counter:
    seq:
      - id: value
        type: u8
      - id: enabled_ns
        type: u8
      - id: running_ns
        type: u8
  end:
    seq:
      - id: records
        type: u8
      - id: lost_records
        type: u8
      - id: chunks
        type: u4
      - id: reserved
        type: u4
enums:
  chunk_kind:
    1: metadata
    2: events
    3: end
  record_type:
    1: token_begin
    2: token_end
    3: ubatch_begin
    4: ubatch_end
    5: graph_begin
    6: graph_end
    7: op_begin
    8: op_fused
    9: barrier
    10: structure_begin
    11: node_list
    12: tensor
    13: structure_end
    14: experts
    15: sample_begin
    16: sample_end
    17: warmup
    18: switch_out
    19: switch_in
    20: wakeup
    21: backend
    22: enqueue_begin
    23: enqueue_end
    24: draft_begin
    25: draft_end
    26: accept
    128: clock
    129: loss
    130: cost
    131: thread
    132: site
    133: exit
    134: end
    135: process
    136: frequency
    137: temperature
    138: counter
    139: probes

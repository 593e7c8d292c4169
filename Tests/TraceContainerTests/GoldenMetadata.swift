/// First chunk of the golden trace: what is known when the recording begins.
let goldenRecordingMetadata = #"""
  {"recorder":{"name":"pi-record","version":"0.1.0","arguments":["pi-record","--","llama-simple"],
  "options":{"level":"op","structure":true,"experts":true,"buffer_bytes":4194304,"compress":1,"sched":true,
  "qos_min_mtps":5000}},
  "machine":{"architecture":"aarch64","hostname":"board","kernel":"5.10.160 #1 SMP","cpu_model":"Cortex-A76",
  "memory_bytes":8589934592,"page_bytes":4096,
  "cpus":[{"number":0,"capacity":1024,"max_khz":2400000},{"number":1,"capacity":414,"max_khz":1800000},
  {"number":2,"capacity":414,"max_khz":1800000}]},
  "counters":[{"name":"cycles","column":0,"state":"recorded",
  "events":[{"pmu":"armv8_cortex_a76","type":8,"config":"0x11","cpus":[0]},
  {"pmu":"armv8_cortex_a55","type":9,"config":"0x11","cpus":[1,2]}]},
  {"name":"instructions","column":1,"state":"recorded",
  "events":[{"pmu":"armv8_cortex_a76","type":8,"config":"0x8","cpus":[0]},
  {"pmu":"armv8_cortex_a55","type":9,"config":"0x8","cpus":[1,2]}]},
  {"name":"stalled-cycles-backend","state":"unsupported","reason":"the PMU does not list it"}],
  "thermal_zones":[{"index":0,"type":"soc-thermal"}],
  "target":{"pid":4242,"command":["llama-simple","-m","moe.gguf"],"executable":"/usr/bin/llama-simple",
  "started_by_recorder":true},
  "clocks":{"monotonic_ns":1000000000000,"boottime_ns":1005000000000,"realtime_ns":1790000000000000000}}
  """#

/// Second metadata chunk: what was found in the target's libraries.
let goldenEngineMetadata = #"""
  {"libraries":[{"index":0,"path":"/usr/lib/libggml-cpu.so","build_id":"8aed0011","load_address":"0x7f0010000000",
  "pid":4242},{"index":1,"path":"/usr/lib/libllama.so","build_id":"8aed0012","load_address":"0x7f0020000000",
  "pid":4242}],
  "engine":{"name":"ggml","op_names":["NONE","DUP","ADD","ADD_ID","ADD1","ACC","SUB","MUL","DIV","SQR","SQRT",
  "LOG","SIN","COS","SUM","SUM_ROWS","CUMSUM","MEAN","ARGMAX","COUNT_EQUAL","REPEAT","REPEAT_BACK","CONCAT",
  "SILU_BACK","NORM","RMS_NORM","RMS_NORM_BACK","GROUP_NORM","L2_NORM","MUL_MAT","MUL_MAT_ID","OUT_PROD"],
  "op_names_source":"symbol GGML_OP_NAME","unary_op_names":["ABS","SGN"],"glu_op_names":["REGLU","GEGLU"]},
  "layout":{"source":"epoch table: ggml since 2026-04","tensor_bytes":336,"tensor_ne":16,"tensor_nb":48,
  "tensor_op":80,"tensor_src":152,"tensor_view_src":232,"tensor_data":248,"cgraph_n_nodes":4,"cgraph_n_leafs":8,
  "cgraph_nodes":16,"cgraph_uid":88,"cplan_n_threads":16,"ubatch_n_tokens":4,"ubatch_n_seqs":12,"ubatch_pos":40},
  "sites":[{"index":0,"role":"token_decode","function":"llama_decode","library":1,"file_offset":"0x1000",
  "address":"0x401000","instruction":"stp x29, x30, [sp, #-64]!","class":"singleStepped","expected_ns":900},
  {"index":1,"role":"graph","function":"ggml_graph_compute","library":0,"file_offset":"0x2000",
  "address":"0x402000","instruction":"nop","class":"nop","expected_ns":740},
  {"index":2,"role":"op_begin","function":"ggml_cpu_extra_compute_forward","library":0,"file_offset":"0x3000",
  "address":"0x403000","instruction":"nop","class":"nop","expected_ns":740},
  {"index":3,"role":"sample_common","function":"common_sampler_sample","library":1,"file_offset":"0x4000",
  "address":"0x404000","instruction":"nop","class":"nop","expected_ns":740}],
  "notes":["a hand-made trace: no model ran"]}
  """#

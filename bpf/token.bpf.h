/* SPDX-License-Identifier: MIT
 * Token steps: the calls that produce logits, their micro-batches, sampling. */
#ifndef TOKEN_BPF_H
#define TOKEN_BPF_H

#include "record.bpf.h"

static __always_inline int token_begin(pi_u8 api, pi_u32 n_tokens, pi_u64 context, pi_u64 argument) {
  if (is_followed(bpf_get_current_pid_tgid()))
    __sync_fetch_and_add(&state.token_begins, 1);
  struct pi_token_begin *record = RESERVE_COUNTED(pi_token_begin, PI_RECORD_TOKEN_BEGIN, api, n_tokens);

  if (!record)
    return 0;
  record->context = context;
  record->argument = argument;
  submit(record);
  return 0;
}

/* Stopping in the kernel makes --tokens exact: user space would be a drain late. The
 * end of a step whose begin came before the probes is not counted. */
static __always_inline int token_end(pi_u8 api, pi_u32 result) {
  emit_counted(PI_RECORD_TOKEN_END, api, result);
  if (settings.token_limit && is_followed(bpf_get_current_pid_tgid())) {
    if (state.token_steps < state.token_begins)
      __sync_fetch_and_add(&state.token_steps, 1);
    if (state.token_steps >= settings.token_limit)
      state.stopped = 1;
  }
  return 0;
}

/* llama_batch goes by value: too large for registers, so the x86_64 ABI puts it
 * on the stack (behind the return address at the first instruction), while
 * AAPCS64 passes a pointer to a copy. n_tokens is its first member. */
static __always_inline pi_u32 batch_n_tokens(struct pt_regs *ctx) {
#if defined(__TARGET_ARCH_x86)
  return READ_USER(pi_u32, PT_REGS_SP(ctx) + 8);
#else
  return READ_USER(pi_u32, PT_REGS_PARM2(ctx));
#endif
}

static __always_inline int on_token_decode(struct pt_regs *ctx) {
  return token_begin(PI_TOKEN_DECODE, batch_n_tokens(ctx), PT_REGS_PARM1(ctx), 0);
}

static __always_inline int on_token_decode_return(struct pt_regs *ctx) {
  return token_end(PI_TOKEN_DECODE, PT_REGS_RC(ctx));
}

static __always_inline int on_token_encode(struct pt_regs *ctx) {
  return token_begin(PI_TOKEN_ENCODE, batch_n_tokens(ctx), PT_REGS_PARM1(ctx), 0);
}

static __always_inline int on_token_encode_return(struct pt_regs *ctx) {
  return token_end(PI_TOKEN_ENCODE, PT_REGS_RC(ctx));
}

/* llama_process(ctx, type, llama_batch_ext *): the batch is opaque, its
 * micro-batches tell the tokens. */
static __always_inline int on_token_process(struct pt_regs *ctx) {
  return token_begin(PI_TOKEN_PROCESS, PI_UNKNOWN_COUNT, PT_REGS_PARM1(ctx), (pi_u32)PT_REGS_PARM2(ctx));
}

static __always_inline int on_token_process_return(struct pt_regs *ctx) {
  return token_end(PI_TOKEN_PROCESS, PT_REGS_RC(ctx));
}

/* llama_context::process_ubatch(this, llama_ubatch const &, …) */
static __always_inline int on_ubatch(struct pt_regs *ctx) {
  pi_u64 batch = PT_REGS_PARM2(ctx);
  pi_u32 n_tokens = READ_USER(pi_u32, batch + state.layout.ubatch_n_tokens);
  struct pi_ubatch_begin *record = RESERVE(pi_ubatch_begin, PI_RECORD_UBATCH_BEGIN, 0, n_tokens);

  if (!record)
    return 0;
  record->context = PT_REGS_PARM1(ctx);
  record->n_sequences = READ_USER(pi_u32, batch + state.layout.ubatch_n_sequences);
  record->position = -1;
  pi_u64 positions = 0;
  if (state.layout.ubatch_positions)
    positions = READ_USER(pi_u64, batch + state.layout.ubatch_positions);
  if (positions && bpf_probe_read_user(&record->position, sizeof(record->position), (void *)positions)) {
    record->position = -1;
    count_unreadable();
  }
  submit(record);
  return 0;
}

/* C++ functions are left by probes on their `ret` instructions: a uretprobe would
 * break an exception that unwinds through them. */
static __always_inline int on_ubatch_return(struct pt_regs *ctx) {
  return emit(PI_RECORD_UBATCH_END, 0, PT_REGS_RC(ctx));
}

static __always_inline int on_sample_common(struct pt_regs *ctx) {
  return emit(PI_RECORD_SAMPLE_BEGIN, PI_SAMPLER_COMMON, 0);
}

static __always_inline int on_sample_common_return(struct pt_regs *ctx) {
  return emit(PI_RECORD_SAMPLE_END, PI_SAMPLER_COMMON, PT_REGS_RC(ctx));
}

static __always_inline int on_sample_llama(struct pt_regs *ctx) {
  return emit(PI_RECORD_SAMPLE_BEGIN, PI_SAMPLER_LLAMA, 0);
}

static __always_inline int on_sample_llama_return(struct pt_regs *ctx) {
  return emit(PI_RECORD_SAMPLE_END, PI_SAMPLER_LLAMA, PT_REGS_RC(ctx));
}

/* common_speculative_draft(spec): the token steps inside are the draft's. */
static __always_inline int on_draft(struct pt_regs *ctx) { return emit(PI_RECORD_DRAFT_BEGIN, 0, 0); }

static __always_inline int on_draft_return(struct pt_regs *ctx) { return emit(PI_RECORD_DRAFT_END, 0, 0); }

/* common_speculative_accept(spec, sequence, uint16_t n_accepted) */
static __always_inline int on_accept(struct pt_regs *ctx) {
  return emit(PI_RECORD_ACCEPT, 0, (pi_u16)PT_REGS_PARM3(ctx));
}

/* llama_set_warmup(ctx, bool) */
static __always_inline int on_warmup(struct pt_regs *ctx) {
  return emit(PI_RECORD_WARMUP, 0, (pi_u8)PT_REGS_PARM2(ctx));
}

#endif

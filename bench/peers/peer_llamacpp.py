"""llama.cpp through llama-cpp-python's C interface: peer_llamacpp.py GGUF THREADS. Weights in bf16 (a quantised file is widened
first); all samples in one batch, each a sequence; a group's prompt is computed once and its cache copied (llama_memory_seq_cp).
"""
import ctypes
import os
import sys
import tempfile

import llama_cpp as ll
import peer_loop

CHUNK = 2048  # tokens of prompts in one llama_decode


def widened(path):
    """The model in bf16; Q8_0 or others may be measured as they are by AHA_PEER_GGUF=as-is."""
    if os.environ.get("AHA_PEER_GGUF") == "as-is":
        return path
    to = os.path.join(tempfile.gettempdir(), os.path.basename(path) + ".bf16.gguf")
    if not os.path.exists(to):
        params = ll.llama_model_quantize_default_params()
        params.nthread, params.ftype, params.allow_requantize = 1, ll.LLAMA_FTYPE_MOSTLY_BF16, True
        if ll.llama_model_quantize(path.encode(), to.encode(), ctypes.byref(params)) != 0:
            raise RuntimeError(f"{path}: llama_model_quantize failed")
    return to


class Run:
    """One context: as many sequences as samples."""

    def __init__(self, model, threads, sequences, length):
        params = ll.llama_context_default_params()
        params.n_ctx = sequences * (-(-length // 256) * 256)
        params.n_seq_max, params.n_batch, params.n_ubatch = sequences, CHUNK, 512
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = False  # else every token attends over the cells of all sequences
        self.context = ll.llama_init_from_model(model, params)
        if not self.context:
            raise RuntimeError(f"no context for {sequences} sequences of {length} tokens")
        self.memory = ll.llama_get_memory(self.context)
        self.batch = ll.llama_batch_init(CHUNK, 0, 1)
        self.batch.n_tokens = 0
        self.sampler = ll.llama_sampler_chain_init(ll.llama_sampler_chain_default_params())
        ll.llama_sampler_chain_add(self.sampler, ll.llama_sampler_init_temp(1.0))
        ll.llama_sampler_chain_add(self.sampler, ll.llama_sampler_init_dist(1))

    def put(self, token, position, sequence, wanted):
        b, i = self.batch, self.batch.n_tokens
        b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, position, 1, wanted
        b.seq_id[i][0] = sequence
        b.n_tokens = i + 1
        return i

    def decode(self):
        if ll.llama_decode(self.context, self.batch) != 0:
            raise RuntimeError("llama_decode failed")
        self.batch.n_tokens = 0

    def free(self):
        ll.llama_sampler_free(self.sampler)
        ll.llama_batch_free(self.batch)
        ll.llama_free(self.context)

    def sample(self, index):
        return ll.llama_sampler_sample(self.sampler, self.context, index)

    def fill(self, prompts, samples):
        """Computes the prompts; the first token of each sample."""
        tokens, ends = [0] * (len(prompts) * samples), []

        def flush():
            self.decode()
            for index, first in ends:
                tokens[first:first + samples] = [self.sample(index) for _ in range(samples)]
            ends.clear()

        for p, prompt in enumerate(prompts):
            for i, token in enumerate(prompt):
                if self.batch.n_tokens == CHUNK:
                    flush()
                index = self.put(token, i, p * samples, i + 1 == len(prompt))
            ends.append((index, p * samples))
        flush()
        for s in range(len(tokens)):
            if s % samples > 0:
                ll.llama_memory_seq_cp(self.memory, s - s % samples, s, -1, -1)
        return tokens

    def generate(self, prompts, samples, new):
        tokens = self.fill(prompts, samples)
        for step in range(1, new):
            for s, token in enumerate(tokens):
                self.put(token, len(prompts[0]) + step - 1, s, True)
            self.decode()
            tokens = [self.sample(s) for s in range(len(tokens))]
        return len(tokens) * new


def main():
    silent = ll.llama_log_callback(lambda *message: None)
    ll.llama_log_set(silent, ctypes.c_void_p(0))
    ll.llama_backend_init()
    params = ll.llama_model_default_params()
    params.n_gpu_layers = 0
    model = ll.llama_model_load_from_file(widened(sys.argv[1]).encode(), params)
    if not model:
        raise RuntimeError(f"{sys.argv[1]}: not loaded")

    def generate(prompts, samples, new):
        run = Run(model, int(sys.argv[2]), len(prompts) * samples, len(prompts[0]) + new)
        made = run.generate(prompts, samples, new)
        run.free()
        return made

    generate([[5] * 8], 1, 4)
    peer_loop.serve(f"llama.cpp of llama-cpp-python {ll.__version__}, bf16", generate)


main()

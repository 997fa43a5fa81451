"""vLLM on the CPU: peer_vllm.py MODEL_DIR THREADS. Compiled, its default; prefix cache on; a group is one prompt with n samples."""
import os
import sys

import peer_loop

cores = sorted(os.sched_getaffinity(0))
os.environ.update(VLLM_CPU_KVCACHE_SPACE="4", VLLM_CPU_OMP_THREADS_BIND=",".join(map(str, cores)), VLLM_CPU_NUM_OF_RESERVED_CPU="0",
                  VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1", HF_HUB_OFFLINE="1")


def main():
    import torch
    import vllm
    torch.set_num_threads(int(sys.argv[2]))
    model = vllm.LLM(sys.argv[1], dtype="bfloat16", max_model_len=1024, max_num_seqs=256, enable_prefix_caching=True, seed=0,
                     skip_tokenizer_init=True)

    def generate(prompts, samples, new):
        rule = vllm.SamplingParams(n=samples, temperature=1.0, top_p=1.0, ignore_eos=True, max_tokens=new, detokenize=False)
        outputs = model.generate([{"prompt_token_ids": p} for p in prompts], rule, use_tqdm=False)
        return sum(len(sample.token_ids) for output in outputs for sample in output.outputs)

    generate([[5] * 8], 1, 4)
    peer_loop.serve(f"vLLM {vllm.__version__} (CPU), torch {torch.__version__}, bf16, compiled, prefix cache", generate)


if __name__ == "__main__":
    main()

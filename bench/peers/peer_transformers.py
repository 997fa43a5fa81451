"""transformers' generate(): peer_transformers.py MODEL_DIR THREADS. It has no shared prompts: each sample computes its own."""
import sys

import peer_loop
import torch
import transformers


def main():
    torch.set_num_threads(int(sys.argv[2]))
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16).eval()
    model.generation_config.eos_token_id = None

    def generate(prompts, samples, new):
        ids = torch.tensor(prompts).repeat_interleave(samples, 0)
        with torch.inference_mode():
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=True, temperature=1.0,
                                 top_k=0, top_p=1.0, use_cache=True, pad_token_id=0, eos_token_id=None)
        return (out.shape[1] - ids.shape[1]) * out.shape[0]

    generate([[5] * 8], 1, 4)
    peer_loop.serve(f"transformers {transformers.__version__}, torch {torch.__version__}, bf16", generate)


main()

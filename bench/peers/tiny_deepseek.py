"""Makes a tiny DeepSeek-V3 for decode.py: hidden 256, 4 layers, 16 experts of which a token takes 4, 7 M parameters, bf16.

    tiny_deepseek.py DIR        needs transformers 5.23 and torch; seed 1

The embedded base's tokenizer goes with it, so that the folder is whole; decode.py sends ids.
"""
import pathlib
import shutil
import sys

import torch
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

BASE = pathlib.Path(__file__).resolve().parents[2] / "pipelines" / "base"


def main():
    folder = pathlib.Path(sys.argv[1])
    config = DeepseekV3Config(
        vocab_size=2048, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, intermediate_size=512,
        moe_intermediate_size=128, first_k_dense_replace=1, n_routed_experts=16, num_experts_per_tok=4, n_group=4, topk_group=2,
        n_shared_experts=1, q_lora_rank=96, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32,
        routed_scaling_factor=2.5, norm_topk_prob=True, max_position_embeddings=1024, bos_token_id=1, eos_token_id=2,
        tie_word_embeddings=False)
    torch.manual_seed(1)
    model = DeepseekV3ForCausalLM(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1:  # rows of a size that leaves logits of order 1
                p.copy_(torch.randn(p.shape) * (0.5 if "embed" in name else p.shape[-1] ** -0.5))
    model.to(torch.bfloat16).save_pretrained(folder)
    for file in BASE.glob("tokenizer*.json"):
        shutil.copy(file, folder / file.name)
    print(f"{folder}: {sum(p.numel() for p in model.parameters())} parameters")


main()

#!/usr/bin/env python3
"""Makes tests/policy/golden/models/*.json: what transformers computes on tiny models of every family.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 torch==2.15.0
    venv/bin/python tests/golden/make_model_golden.py tests/policy/golden/models

Nothing is drawn: every weight is a hash of its name and place (fill() below, and HashFill in
tests/policy/tiny_model.h), token ids come from a fixed recurrence. A file holds config.json as transformers writes it,
ids of two sequences, logits in fp32, the loss (mean next-token NLL) and the gradient of every tensor
by its name on disk: its norm and a few entries. `logits_bf16` is the same model run in bf16.
"""
import json
import os
import re
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers import (DeepseekV2Config, DeepseekV3Config, LlamaConfig, MixtralConfig, Qwen2Config, Qwen2MoeConfig,
                          Qwen3Config, Qwen3MoeConfig)
from transformers.modeling_layers import MtpModel

LENGTH = 12
SAMPLES = 4  # entries of a gradient that are written out


def fill(name, shape):
    size = int(np.prod(shape))
    with np.errstate(over="ignore"):
        k = np.arange(1, size + 1, dtype=np.uint32)
        x = k * np.uint32(2654435761) + np.uint32(97 * sum(name.encode()) % 2**32)
        x ^= x >> np.uint32(15)
        x *= np.uint32(2246822519)
        x ^= x >> np.uint32(13)
    u = x.astype(np.float64) / 2**32 - 0.5
    value = 1 + 0.2 * u if name.endswith("norm.weight") else (0.8 if len(shape) >= 2 else 0.2) * u
    return torch.tensor(value, dtype=torch.float32).reshape(shape)


def ids(vocab):
    rows, x = [], 1
    for _ in range(2):
        row = []
        for _ in range(LENGTH):
            x = (x * 1103515245 + 12345) % 2**31
            row.append((x >> 16) % vocab)
        rows.append(row)
    return rows


BASE = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=256)
LATENT = dict(q_lora_rank=12, kv_lora_rank=8, qk_nope_head_dim=6, qk_rope_head_dim=4, v_head_dim=5)
V3_EXPERTS = dict(moe_intermediate_size=8, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3, n_group=4,
                  topk_group=2, routed_scaling_factor=2.5, first_k_dense_replace=1, num_nextn_predict_layers=0)
V2_EXPERTS = dict(moe_intermediate_size=8, n_routed_experts=8, n_shared_experts=2, num_experts_per_tok=3,
                  first_k_dense_replace=1)
SOFT_EXPERTS = dict(moe_intermediate_size=8, num_experts=6, num_experts_per_tok=2)


def yarn(theta=10000.0, **more):
    return dict(rope_type="yarn", rope_theta=theta, factor=4.0, original_max_position_embeddings=64, **more)


def v3(**k):
    return DeepseekV3Config(**{**BASE, **LATENT, **V3_EXPERTS, "num_key_value_heads": 4, **k})


def v2(**k):
    return DeepseekV2Config(**{**BASE, **LATENT, **V2_EXPERTS, "num_key_value_heads": 4, **k})


def of(cls, **fixed):
    return lambda **k: cls(**{**BASE, "num_key_value_heads": 2, **fixed, **k})


llama, qwen2, qwen3 = of(LlamaConfig), of(Qwen2Config), of(Qwen3Config, head_dim=8)
qwen2_moe = of(Qwen2MoeConfig, **SOFT_EXPERTS, shared_expert_intermediate_size=12)
qwen3_moe = of(Qwen3MoeConfig, **SOFT_EXPERTS, head_dim=8)
mixtral = of(MixtralConfig, num_local_experts=6)

MODELS = {
    "deepseek_v3": lambda: v3(),
    "deepseek_v3_yarn_bias": lambda: v3(attention_bias=True,
                                        rope_parameters=yarn(beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=1.0)),
    "deepseek_v3_yarn_mscales": lambda: v3(rope_interleave=False, tie_word_embeddings=True,
                                           rope_parameters=yarn(mscale=0.8, mscale_all_dim=0.5)),
    "deepseek_v3_yarn_half": lambda: v3(norm_topk_prob=False, rope_parameters=yarn(mscale_all_dim=0.7)),
    # Moonlight-16B-A3B's: no q_lora, one group, two shared experts.
    "deepseek_v3_moonlight": lambda: v3(q_lora_rank=None, n_group=1, topk_group=1, n_shared_experts=2, rms_norm_eps=1e-5,
                                        routed_scaling_factor=2.446, rope_parameters=dict(rope_type="default", rope_theta=50000.0)),
    "deepseek_v3_all_sparse": lambda: v3(first_k_dense_replace=0, q_lora_rank=None, n_group=2, topk_group=1),
    "deepseek_v3_mtp": lambda: v3(num_nextn_predict_layers=1),
    # DeepSeek-V2-Lite's and DeepSeek-V2's routers.
    "deepseek_v2_greedy": lambda: v2(q_lora_rank=None, topk_method="greedy", routed_scaling_factor=1.0,
                                     rope_parameters=yarn(mscale=0.707, mscale_all_dim=0.707, beta_fast=32, beta_slow=1)),
    "deepseek_v2_grouped": lambda: v2(topk_method="group_limited_greedy", n_group=4, topk_group=2, routed_scaling_factor=16.0,
                                      attention_bias=True, mlp_bias=True),
    "llama": lambda: llama(num_key_value_heads=4),
    "llama3": lambda: llama(head_dim=8, tie_word_embeddings=True,
                            rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                                                 high_freq_factor=4.0, original_max_position_embeddings=64)),
    "llama_bias_linear": lambda: llama(num_key_value_heads=1, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-5,
                                       rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
    "llama_yarn": lambda: llama(rope_parameters=yarn(truncate=False, beta_fast=16, beta_slow=2)),
    "qwen2_tied": lambda: qwen2(tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=1e6)),
    "qwen2_yarn": lambda: qwen2(rope_parameters=yarn(1e6, attention_factor=1.3)),
    "qwen3": lambda: qwen3(tie_word_embeddings=True),
    "qwen3_bias": lambda: qwen3(attention_bias=True, num_key_value_heads=4),
    "qwen3_moe": lambda: qwen3_moe(norm_topk_prob=True),
    "qwen3_moe_mixed": lambda: qwen3_moe(norm_topk_prob=False, num_hidden_layers=4, decoder_sparse_step=2, mlp_only_layers=[1]),
    "qwen2_moe": lambda: qwen2_moe(),
    "qwen2_moe_mixed": lambda: qwen2_moe(norm_topk_prob=True, mlp_only_layers=[0], tie_word_embeddings=True, qkv_bias=False),
    "mixtral": lambda: mixtral(),
    "mixtral_wide": lambda: mixtral(head_dim=6, num_experts_per_tok=3, tie_word_embeddings=True,
                                    rope_parameters=dict(rope_type="default", rope_theta=1e6)),
}


def make_model(config, folder):
    """A transformers model with filled weights, by way of its own files, so that names are those on disk."""
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    path = os.path.join(folder, "model.safetensors")
    save_file({n: fill(n, t.shape) for n, t in load_file(path).items()}, path, metadata={"format": "pt"})
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def on_disk(name, gradient, config):
    """A gradient by the names that files give to experts."""
    base = "block_sparse_moe" if config.model_type == "mixtral" else "mlp"
    gate, up, down = ("w1", "w3", "w2") if config.model_type == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    fused = re.fullmatch(r"(.*)\.mlp\.experts\.(gate_up_proj|down_proj)", name)
    if not fused:
        router = re.fullmatch(r"(.*)\.mlp\.gate\.weight", name)
        yield (f"{router[1]}.{base}.gate.weight" if router else name), gradient
        return
    for e, g in enumerate(gradient):
        expert = f"{fused[1]}.{base}.experts.{e}"
        if fused[2] == "down_proj":
            yield f"{expert}.{down}.weight", g
        else:
            first, second = g.chunk(2, dim=0)
            yield f"{expert}.{gate}.weight", first
            yield f"{expert}.{up}.weight", second


def nll(logits, targets):
    return torch.nn.functional.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), targets.reshape(-1))


def gradients(named, config):
    out = {}
    for name, parameter in named:
        g = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        for disk, part in on_disk(name, g, config):
            flat = part.reshape(-1)
            places = [i * (flat.numel() - 1) // max(1, SAMPLES - 1) for i in range(SAMPLES)]
            out[disk] = {"norm": float(f"{flat.norm().item():.8g}"), "places": places,
                         "values": [float(f"{flat[i].item():.7g}") for i in places]}
    return out


def rounded(tensor):
    return [[float(f"{x:.7g}") for x in row] for row in tensor.reshape(-1, tensor.shape[-1]).tolist()]


def mtp_of(model, config):
    """The module for multi-token prediction with filled weights, and its names on disk."""
    module = MtpModel(model, 1).float()
    prefix = f"model.layers.{config.num_hidden_layers}."

    def disk(name):
        return prefix + name.removeprefix("layers.0.").removeprefix("mtp_block.").replace("post_norm.", "shared_head.norm.")

    own = [(n, p) for n, p in module.named_parameters() if n.startswith("layers.0.")]
    with torch.no_grad():
        for name, parameter in own:
            fused = re.fullmatch(r"(.*mlp\.experts)\.(gate_up_proj|down_proj)", disk(name))
            if not fused:
                parameter.copy_(fill(disk(name), parameter.shape))
                continue
            for e in range(parameter.shape[0]):
                parts = ["down_proj"] if fused[2] == "down_proj" else ["gate_proj", "up_proj"]
                rows = parameter.shape[1] // len(parts)
                parameter[e].copy_(torch.cat([fill(f"{fused[1]}.{e}.{p}.weight", (rows, parameter.shape[2])) for p in parts]))
        for name, buffer in module.named_buffers():
            if name.startswith("layers.0.") and name.endswith("e_score_correction_bias"):
                buffer.copy_(fill(disk(name), buffer.shape))
    return module, [(disk(n), p) for n, p in own]


def add_mtp(model, config, hidden, tokens, golden):
    """Loss of the module, 0.3 of it added to the trunk's for the gradients, as the trainer does."""
    module, own = mtp_of(model, config)
    positions = torch.arange(LENGTH - 1).unsqueeze(0)
    out = module.forward_layer(0, hidden[:, :-1], positions, None, input_ids=tokens[:, 1:])
    logits = module._project_to_logits(out)
    golden["mtp_logits"] = rounded(logits.detach())
    loss = nll(logits[:, :-1], tokens[:, 2:])
    golden["mtp_loss"] = loss.item()
    return loss, own


def golden_of(config):
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(config, folder).eval()
        with open(os.path.join(folder, "config.json")) as f:
            written = json.load(f)
        tokens = torch.tensor(ids(config.vocab_size))
        golden = {"made_by": f"tests/golden/make_model_golden.py, transformers {transformers.__version__}, torch {torch.__version__}",
                  "config": written, "ids": tokens.tolist()}
        result = model(tokens, output_hidden_states=True)
        golden["logits"] = rounded(result.logits.detach())
        loss = nll(result.logits[:, :-1], tokens[:, 1:])
        golden["loss"] = loss.item()
        named = [(n, p) for n, p in model.named_parameters()]
        if written.get("num_nextn_predict_layers", 0) > 0:
            mtp_loss, own = add_mtp(model, config, result.hidden_states[-1], tokens, golden)
            loss = loss + 0.3 * mtp_loss
            named += own
        loss.backward()
        golden["gradients"] = gradients(named, config)
        half = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager")
        with torch.no_grad():
            golden["logits_bf16"] = rounded(half(tokens).logits.float())
        return golden


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    only = sys.argv[2:]
    for name, config in MODELS.items():
        if only and name not in only:
            continue
        with open(os.path.join(out, name + ".json"), "w") as f:
            json.dump(golden_of(config()), f, separators=(",", ":"))
            f.write("\n")
        print(name)


if __name__ == "__main__":
    main()

"""The headers of the released DeepSeek-R1 checkpoint without its weights: 163 sparse files, 91,991 tensors.

usage: deepseek_headers.py FOLDER
The folder has config.json, model.safetensors.index.json and files of the true sizes that take a few MB of disk.
Shapes follow arXiv:2412.19437; FP8 matrices have a fp32 scale for each block of 128 x 128.
"""
import json, os, struct, sys

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
H, LAYERS, DENSE, HEADS, NOPE, ROPE, VALUE, QL, KVL, FFN, EXPERT, EXPERTS, VOCAB = 7168, 61, 3, 128, 128, 64, 128, 1536, 512, 18432, 2048, 256, 129280
SHARDS = 163
config = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "attention_bias": False, "attention_dropout": 0.0,
    "aux_loss_alpha": 0.001, "bos_token_id": 0, "eos_token_id": 1, "ep_size": 1, "first_k_dense_replace": DENSE, "hidden_act": "silu",
    "hidden_size": H, "initializer_range": 0.02, "intermediate_size": FFN, "kv_lora_rank": KVL, "max_position_embeddings": 163840,
    "moe_intermediate_size": EXPERT, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": EXPERTS, "n_shared_experts": 1,
    "norm_topk_prob": True, "num_attention_heads": HEADS, "num_experts_per_tok": 8, "num_hidden_layers": LAYERS,
    "num_key_value_heads": HEADS, "num_nextn_predict_layers": 1, "pretraining_tp": 1, "q_lora_rank": QL, "qk_nope_head_dim": NOPE,
    "qk_rope_head_dim": ROPE, "rms_norm_eps": 1e-06, "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0,
    "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096, "type": "yarn"}, "rope_theta": 10000, "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid", "seq_aux": True, "tie_word_embeddings": False, "topk_group": 4, "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16", "use_cache": True, "v_head_dim": VALUE, "vocab_size": VOCAB,
    "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}}

tensors = []


def add(name, dtype, *shape):
    tensors.append((name, dtype, list(shape)))


def fp8(name, rows, columns):
    add(name + ".weight", "F8_E4M3", rows, columns)
    add(name + ".weight_scale_inv", "F32", -(-rows // 128), -(-columns // 128))


def network(name, width):
    fp8(name + ".gate_proj", width, H); fp8(name + ".up_proj", width, H); fp8(name + ".down_proj", H, width)


add("model.embed_tokens.weight", "BF16", VOCAB, H)
for layer in range(LAYERS + 1):
    p = f"model.layers.{layer}."
    add(p + "input_layernorm.weight", "BF16", H); add(p + "post_attention_layernorm.weight", "BF16", H)
    fp8(p + "self_attn.q_a_proj", QL, H); add(p + "self_attn.q_a_layernorm.weight", "BF16", QL)
    fp8(p + "self_attn.q_b_proj", HEADS * (NOPE + ROPE), QL)
    fp8(p + "self_attn.kv_a_proj_with_mqa", KVL + ROPE, H); add(p + "self_attn.kv_a_layernorm.weight", "BF16", KVL)
    fp8(p + "self_attn.kv_b_proj", HEADS * (NOPE + VALUE), KVL); fp8(p + "self_attn.o_proj", H, HEADS * VALUE)
    if layer < DENSE:
        network(p + "mlp", FFN)
        continue
    add(p + "mlp.gate.weight", "BF16", EXPERTS, H); add(p + "mlp.gate.e_score_correction_bias", "F32", EXPERTS)
    for e in range(EXPERTS):
        network(p + f"mlp.experts.{e}", EXPERT)
    network(p + "mlp.shared_experts", EXPERT)
add("model.norm.weight", "BF16", H)
add("lm_head.weight", "BF16", VOCAB, H)
p = f"model.layers.{LAYERS}."
add(p + "embed_tokens.weight", "BF16", VOCAB, H); add(p + "enorm.weight", "BF16", H); add(p + "hnorm.weight", "BF16", H)
add(p + "eh_proj.weight", "BF16", H, 2 * H); add(p + "shared_head.norm.weight", "BF16", H); add(p + "shared_head.head.weight", "BF16", VOCAB, H)
assert len(tensors) == 91991, len(tensors)

weight_map, total = {}, 0
per_shard = -(-len(tensors) // SHARDS)
for shard in range(SHARDS):
    name = f"model-{shard + 1:05}-of-{SHARDS:06}.safetensors"
    header, at = {}, 0
    for tensor, dtype, shape in tensors[shard * per_shard:(shard + 1) * per_shard]:
        size = {"F8_E4M3": 1, "BF16": 2, "F32": 4}[dtype]
        for n in shape:
            size *= n
        header[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
        weight_map[tensor] = name
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + at)
    total += at
with open(os.path.join(folder, "config.json"), "w") as f:
    json.dump(config, f, indent=2)
with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
    json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, f, indent=2)

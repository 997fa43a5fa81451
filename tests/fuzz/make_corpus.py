"""The seed corpora: python tests/fuzz/make_corpus.py tests/fuzz/corpus (Python's own library alone)."""
import json, os, struct, sys

out = sys.argv[1]


def put(target, name, data):
    os.makedirs(f"{out}/{target}", exist_ok=True)
    with open(f"{out}/{target}/{name}", "wb") as f:
        f.write(data if isinstance(data, bytes) else json.dumps(data).encode())


# safetensors
def tensors(header, data=b""):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data

entry = lambda dtype, shape, begin, end: {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
put("safetensors", "empty", tensors({}))
put("safetensors", "two", tensors({"__metadata__": {"format": "pt", "sha256:a": "00"}, "a": entry("F32", [2], 0, 8), "b": entry("BF16", [1, 2], 8, 12)}, bytes(12)))
put("safetensors", "types", tensors({t: entry(t, [1], i * 8, i * 8 + 8) for i, t in enumerate(["F64", "I64"])} | {"s": entry("U8", [], 16, 17), "z": entry("F8_E4M3", [0, 3], 17, 17)}, bytes(17)))
put("safetensors", "beyond", tensors({"a": entry("F32", [1000], 0, 4000)}, bytes(8)))

# GGUF
s = lambda text: struct.pack("<Q", len(text.encode())) + text.encode()
u32 = lambda key, v: s(key) + struct.pack("<II", 4, v)
f32 = lambda key, v: s(key) + struct.pack("<If", 6, v)
txt = lambda key, v: s(key) + struct.pack("<I", 8) + s(v)
txts = lambda key, v: s(key) + struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(s, v))
i32s = lambda key, v: s(key) + struct.pack("<IIQ", 9, 5, len(v)) + struct.pack(f"<{len(v)}i", *v)
def gguf(keys, entries, data=b"", version=3):
    infos = b""
    for name, shape, kind, offset in entries:
        infos += s(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)
    head = b"GGUF" + struct.pack("<IQQ", version, len(entries), len(keys)) + b"".join(keys) + infos
    return head + b"\0" * (-len(head) % 32) + data
def model(arch, tied):
    h, f, v = 8, 8, 6
    keys = [txt("general.architecture", arch), u32(f"{arch}.context_length", 64), u32(f"{arch}.embedding_length", h),
            u32(f"{arch}.block_count", 1), u32(f"{arch}.feed_forward_length", f), u32(f"{arch}.attention.head_count", 2),
            u32(f"{arch}.attention.head_count_kv", 1), f32(f"{arch}.attention.layer_norm_rms_epsilon", 1e-6), f32(f"{arch}.rope.freq_base", 1e4),
            txt("tokenizer.ggml.model", "gpt2"), txt("tokenizer.ggml.pre", "llama-bpe"), txts("tokenizer.ggml.tokens", ["a", "b", "ab", "Ġ", "<e>", "<t>"]),
            i32s("tokenizer.ggml.token_type", [1, 1, 1, 1, 3, 4]), txts("tokenizer.ggml.merges", ["a b"]), u32("tokenizer.ggml.eos_token_id", 4),
            txt("tokenizer.chat_template", "{{ m }}")]
    shapes = {"token_embd.weight": [h, v], "output_norm.weight": [h], "rope_freqs.weight": [2]}
    if not tied: shapes["output.weight"] = [h, v]
    for n, d in {"attn_norm": [h], "ffn_norm": [h], "attn_q": [h, h], "attn_k": [h, 4], "attn_v": [h, 4], "attn_output": [h, h],
                 "ffn_gate": [h, f], "ffn_up": [h, f], "ffn_down": [f, h]}.items():
        shapes[f"blk.0.{n}.weight"] = d
    if arch == "qwen2":
        shapes |= {"blk.0.attn_q.bias": [h], "blk.0.attn_k.bias": [4], "blk.0.attn_v.bias": [4]}
    entries, at = [], 0
    for name, shape in shapes.items():
        entries.append((name, shape, 0, at))
        size = 4
        for d in shape: size *= d
        at += size + -size % 32
    return gguf(keys, entries, bytes(at))
put("gguf", "empty", gguf([], []))
put("gguf", "version2", gguf([u32("general.alignment", 64)], [], version=2))
put("gguf", "llama", model("llama", False))
put("gguf", "qwen2", model("qwen2", True))
kinds = {2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2), 1: (1, 2)}
put("gguf", "blocks", gguf([], [(f"t{k}", [n], k, i * 256) for i, (k, (n, b)) in enumerate(kinds.items())], bytes(range(256)) * len(kinds)))

# config.json
common = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
          "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "bos_token_id": 0, "eos_token_id": [1, 2], "torch_dtype": "bfloat16"}
latent = {"q_lora_rank": 12, "kv_lora_rank": 8, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 5, "moe_intermediate_size": 8,
          "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2, "first_k_dense_replace": 1,
          "routed_scaling_factor": 2.5, "norm_topk_prob": True, "moe_layer_freq": 1}
yarn = {"type": "yarn", "factor": 4, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 64}
fp8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
for name, more in {
    "DeepseekV3ForCausalLM": latent | {"num_key_value_heads": 4, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "num_nextn_predict_layers": 1, "rope_scaling": yarn, "quantization_config": fp8},
    "DeepseekV2ForCausalLM": latent | {"num_key_value_heads": 4, "scoring_func": "softmax", "topk_method": "group_limited_greedy"},
    "LlamaForCausalLM": {"num_key_value_heads": 2, "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}},
    "Qwen2ForCausalLM": {"num_key_value_heads": 2, "tie_word_embeddings": True, "use_sliding_window": False},
    "Qwen2MoeForCausalLM": {"num_key_value_heads": 2, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "shared_expert_intermediate_size": 16, "decoder_sparse_step": 1, "mlp_only_layers": [0], "norm_topk_prob": False},
    "Qwen3ForCausalLM": {"num_key_value_heads": 2, "head_dim": 8},
    "Qwen3MoeForCausalLM": {"num_key_value_heads": 2, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "norm_topk_prob": True},
    "MixtralForCausalLM": {"num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
}.items():
    put("config", name, {"architectures": [name]} | common | more)

# tokenizer.json
alphabet = [chr(b) for b in [*range(33, 127)]] + ["Ġ", "Ċ", "Ã", "©", "ä", "½", "ł", "å", "¥", "½"]
vocab = {t: i for i, t in enumerate(dict.fromkeys(alphabet + ["th", "the", "Ġthe", "12"]))}
byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
split = {"type": "Split", "pattern": {"Regex": r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"}, "behavior": "Isolated", "invert": False}
added = [{"id": len(vocab), "content": "<think>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}]
bpe = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
       "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": [["t", "h"], ["th", "e"], ["Ġ", "the"], ["1", "2"]]}
whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": {"type": "NFC"},
         "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, split, byte_level]},
         "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, "model": bpe}
put("tokenizer", "split", whole)
put("tokenizer", "gpt2", whole | {"normalizer": None, "pre_tokenizer": byte_level | {"use_regex": True, "add_prefix_space": True}, "model": bpe | {"merges": ["t h", "th e"], "ignore_merges": True},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<think>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"<think>": {"id": "<think>", "ids": [len(vocab)], "tokens": ["<think>"]}}}})

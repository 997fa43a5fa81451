"""Golden GGUF files: python tests/golden/make_gguf_golden.py tests/policy/golden/gguf

numpy 2.4.6 (seed 7), gguf 0.19.0, transformers 5.23.0, torch 2.15.0, safetensors 0.8.0.
  blocks.gguf, blocks.safetensors  a tensor of every type, and gguf's own dequantisation of it in fp32
  llama.gguf, qwen2.gguf           two tiny models with tokenizers
  models.json                      what transformers makes of them: SHA-256 of every tensor's fp32 bytes,
                                   token ids of some texts, keys of the config
"""
import hashlib, json, os, sys
import numpy as np
import gguf
from gguf import GGMLQuantizationType as Q
from safetensors.numpy import save_file

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
rng = np.random.default_rng(7)
BLOCK_SCALES = {  # byte offsets of the fp16 numbers in a block
    Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}


def random_blocks(kind, rows, columns):
    """Random bits, but scales that are ordinary fp16 numbers."""
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows, columns // weights, size), dtype=np.uint8)
    for at in BLOCK_SCALES[kind]:
        scale = rng.normal(0, 0.1, blocks.shape[:2]).astype(np.float16)
        blocks[:, :, at:at + 2] = scale[..., None].view(np.uint8).reshape(*blocks.shape[:2], 2)
    return blocks.reshape(rows, -1)


def plain(kind, array):
    if kind == Q.F32:
        return array.astype(np.float32)
    if kind == Q.F16:
        return array.astype(np.float16)
    return gguf.quants.quantize(array.astype(np.float32), kind)


def blocks():
    writer = gguf.GGUFWriter(f"{out}/blocks.gguf", "none")
    want = {}
    for kind in BLOCK_SCALES:
        data = random_blocks(kind, 2, 256)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        want[kind.name] = gguf.quants.dequantize(data, kind).astype(np.float32)
    halves = np.concatenate([np.arange(0x7C00), 0x8000 + np.arange(0x7C00)]).astype(np.uint16)[::31]
    half = halves.view(np.float16).reshape(2, -1)
    writer.add_tensor("F16", half)
    want["F16"] = half.astype(np.float32)
    data = plain(Q.BF16, rng.normal(size=(2, 64)))
    writer.add_tensor("BF16", data, raw_dtype=Q.BF16)
    want["BF16"] = gguf.quants.dequantize(data, Q.BF16).astype(np.float32)
    want["F32"] = rng.normal(size=(2, 64)).astype(np.float32)
    writer.add_tensor("F32", want["F32"])
    writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
    save_file(want, f"{out}/blocks.safetensors")


def byte_alphabet():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for byte in range(256):
        table[byte] = chr(byte) if byte in keep else chr(256 + (extra := extra + 1) - 1)
    return table


def tokenizer(writer, pre, bos):
    alphabet = byte_alphabet()
    spelt = lambda text: "".join(alphabet[b] for b in text.encode())
    tokens = [alphabet[b] for b in range(256)]
    merges = []
    for text in ["th", "the", " t", " the", "in", "ing", "an", "and", " a", " and", "12", "123", "  ", "\n\n", "'s", "é", "你", "你好"]:
        pieces = [alphabet[b] for b in text.encode()]
        while len(pieces) > 1:  # longest known front, then one more piece
            pair = pieces[:2]
            if "".join(pair) not in tokens:
                tokens.append("".join(pair)); merges.append(" ".join(pair))
            pieces = ["".join(pair)] + pieces[2:]
    types = [1] * len(tokens)
    for text, kind in [("<|begin|>", 3), ("<|end|>", 3), ("<think>", 4), ("</think>", 4), ("<|endoftext|>", 3)]:
        tokens.append(text); types.append(kind)
    writer.add_tokenizer_model("gpt2"); writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens); writer.add_token_types(types); writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index("<|begin|>")); writer.add_eos_token_id(tokens.index("<|end|>"))
    writer.add_add_bos_token(bos)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert spelt(" the") in tokens
    return len(tokens)


def model(name, pre, bos, tied, bias, kinds):
    hidden, layers, heads, kv, head, ffn = 64, 2, 4, 2, 16, 96
    writer = gguf.GGUFWriter(f"{out}/{name}.gguf", name)
    writer.add_context_length(512); writer.add_embedding_length(hidden); writer.add_block_count(layers)
    writer.add_feed_forward_length(ffn); writer.add_head_count(heads); writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-5); writer.add_rope_freq_base(500000.0); writer.add_rope_dimension_count(head)
    vocab = tokenizer(writer, pre, bos)
    number = 0

    def add(tensor, *shape, norm=False):
        nonlocal number
        kind = Q.F32 if len(shape) == 1 else kinds[number % len(kinds)]
        number += 1
        values = rng.normal(1 if norm else 0, 0.1, shape)
        data = plain(kind, values)
        writer.add_tensor(tensor, data, raw_dtype=None if kind in (Q.F32, Q.F16) else kind)

    add("token_embd.weight", vocab, hidden)
    for l in range(layers):
        p = f"blk.{l}."
        add(p + "attn_norm.weight", hidden, norm=True); add(p + "ffn_norm.weight", hidden, norm=True)
        add(p + "attn_q.weight", heads * head, hidden); add(p + "attn_k.weight", kv * head, hidden)
        add(p + "attn_v.weight", kv * head, hidden); add(p + "attn_output.weight", hidden, heads * head)
        if bias:
            add(p + "attn_q.bias", heads * head); add(p + "attn_k.bias", kv * head); add(p + "attn_v.bias", kv * head)
        add(p + "ffn_gate.weight", ffn, hidden); add(p + "ffn_up.weight", ffn, hidden); add(p + "ffn_down.weight", hidden, ffn)
    add("output_norm.weight", hidden, norm=True)
    if not tied:
        add("output.weight", vocab, hidden)
    writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()


TEXTS = ["the thing and the 123 things", "It's  two\n\n\nlines 12345", " leading", "trailing  ", "你好, café 🙂",
         "<think>the</think><|end|>", "a<|begin|>b", "THE'S x'S", "\t tab\r\n", "a  1\n\n2"]


def reference(name):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    m = AutoModelForCausalLM.from_pretrained(out, gguf_file=f"{name}.gguf", dtype=torch.float32)
    t = AutoTokenizer.from_pretrained(out, gguf_file=f"{name}.gguf")
    c = m.config
    drop = {"lm_head.weight"} if c.tie_word_embeddings else set()
    hashes = {k: hashlib.sha256(v.contiguous().numpy().tobytes()).hexdigest() for k, v in m.state_dict().items() if k not in drop}
    keys = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "max_position_embeddings", "tie_word_embeddings", "bos_token_id", "eos_token_id"]
    return {"sha256": hashes, "config": {k: getattr(c, k) for k in keys}, "rope_theta": c.rope_parameters["rope_theta"],
            "ids": [[x, t(x, add_special_tokens=False)["input_ids"], t(x)["input_ids"]] for x in TEXTS]}


blocks()
model("llama", "llama-bpe", True, False, False, [Q.Q8_0, Q.Q4_0, Q.Q5_0, Q.Q4_1, Q.Q5_1, Q.F16, Q.BF16])
model("qwen2", "qwen2", False, True, True, [Q.Q8_0, Q.Q4_1])
with open(f"{out}/models.json", "w") as f:
    json.dump({name: reference(name) for name in ["llama", "qwen2"]}, f, ensure_ascii=False)

#include "policy/checkpoint/gguf_import.h"

#include <algorithm>
#include <set>

#include "base/whole_file.h"
#include "policy/checkpoint/mapped_file.h"
#include "policy/checkpoint/numbers.h"
#include "policy/tokenizer/tokenizer.h"
#include "policy/tokenizer/tokenizer_config.h"

namespace aha::policy {
namespace fs = std::filesystem;
namespace {

// A tensor of the model: its two names, its shape, and how its rows lie in the GGUF.
struct Slot {
  std::string from, to;
  std::vector<std::int64_t> shape;
  // Not 0: rows of each head of this width lie in pairs (x_j, x_{j + width/2}), as llama.cpp
  // rotates them; Hugging Face has the first halves, then the second.
  std::int64_t paired_head = 0;
};

std::vector<Slot> SlotsOfLayer(const GgufModel& m, std::int64_t layer) {
  const std::string from = fmt::format("blk.{}.", layer);
  const std::string to = fmt::format("model.layers.{}.", layer);
  const std::int64_t query = m.heads * m.head_dim;
  const std::int64_t key = m.kv_heads * m.head_dim;
  const std::int64_t paired = m.architecture == "llama" ? m.head_dim : 0;
  std::vector<Slot> slots;
  const auto add = [&](std::string_view a, std::string_view b, std::vector<std::int64_t> shape,
                       std::int64_t head = 0) {
    slots.push_back({from + std::string(a), to + std::string(b), std::move(shape), head});
  };
  add("attn_norm.weight", "input_layernorm.weight", {m.hidden});
  add("attn_q.weight", "self_attn.q_proj.weight", {query, m.hidden}, paired);
  add("attn_k.weight", "self_attn.k_proj.weight", {key, m.hidden}, paired);
  add("attn_v.weight", "self_attn.v_proj.weight", {key, m.hidden});
  add("attn_output.weight", "self_attn.o_proj.weight", {m.hidden, query});
  if (m.attention_bias) {
    add("attn_q.bias", "self_attn.q_proj.bias", {query}, paired);
    add("attn_k.bias", "self_attn.k_proj.bias", {key}, paired);
    add("attn_v.bias", "self_attn.v_proj.bias", {key});
    if (m.architecture == "llama") add("attn_output.bias", "self_attn.o_proj.bias", {m.hidden});
  }
  add("ffn_norm.weight", "post_attention_layernorm.weight", {m.hidden});
  add("ffn_gate.weight", "mlp.gate_proj.weight", {m.intermediate, m.hidden});
  add("ffn_up.weight", "mlp.up_proj.weight", {m.intermediate, m.hidden});
  add("ffn_down.weight", "mlp.down_proj.weight", {m.hidden, m.intermediate});
  return slots;
}

// Row `row` of the Hugging Face tensor is this one of the GGUF's.
std::int64_t RowInGguf(std::int64_t row, std::int64_t head) {
  if (head == 0) return row;
  const std::int64_t in_head = row % head;
  const std::int64_t half = head / 2;
  return row - in_head + 2 * (in_head % half) + in_head / half;
}

// Writes a tensor's rows in Hugging Face's order, a few at a time.
Status Produce(const GgufTensor& tensor,
               std::int64_t head,
               const ImportOptions& options,
               const std::string& where,
               const ByteSink& sink) {
  const bool vector = tensor.shape.size() == 1;
  const std::int64_t rows = vector ? (head == 0 ? 1 : tensor.shape[0]) : tensor.shape[0];
  const std::int64_t width = vector ? (head == 0 ? tensor.shape[0] : 1) : tensor.shape[1];
  const auto row_bytes = tensor.data.size() / static_cast<std::size_t>(rows);
  const std::int64_t at_once = std::clamp<std::int64_t>((1 << 18) / width, 1, rows);
  std::vector<float> values(static_cast<std::size_t>(at_once * width));
  std::vector<std::byte> out(values.size() * DtypeSize(options.dtype));
  for (std::int64_t first = 0; first < rows; first += at_once) {
    const std::int64_t count = std::min(at_once, rows - first);
    for (std::int64_t r = 0; r < count; ++r) {
      const auto from = static_cast<std::size_t>(RowInGguf(first + r, head));
      Dequantize(tensor.type, tensor.data.subspan(from * row_bytes, row_bytes),
                 values.data() + r * width);
    }
    const std::span<const float> done(values.data(), static_cast<std::size_t>(count * width));
    if (!StoreFloats(done, options.dtype, out.data())) {
      return Fail(Code::kCorrupt, "{}: tensor {}: holds NaN or infinity", where, tensor.name);
    }
    AHA_TRY(sink(std::span(out).first(done.size() * DtypeSize(options.dtype))));
  }
  Drop(tensor.data);
  return {};
}

std::vector<Slot> SlotsOf(const GgufModel& m) {
  std::vector<Slot> slots = {
      {"token_embd.weight", "model.embed_tokens.weight", {m.vocab, m.hidden}}};
  for (std::int64_t layer = 0; layer < m.layers; ++layer) {
    for (Slot& slot : SlotsOfLayer(m, layer))
      slots.push_back(std::move(slot));
  }
  slots.push_back({"output_norm.weight", "model.norm.weight", {m.hidden}});
  if (!m.tied) slots.push_back({"output.weight", "lm_head.weight", {m.vocab, m.hidden}});
  return slots;
}

// Every tensor of the model, in its order; all of the file's must be used.
Result<std::vector<TensorSource>> Sources(const GgufFile& file,
                                          const GgufModel& m,
                                          const ImportOptions& options) {
  if (const auto problems = CompareGguf(file, m); !problems.empty()) {
    return Fail(Code::kCorrupt, "{}", problems.front().message);
  }
  std::vector<TensorSource> sources;
  for (const Slot& slot : SlotsOf(m)) {
    const GgufTensor* tensor = file.Find(slot.from);
    sources.push_back(
        {slot.to, options.dtype, slot.shape,
         [tensor, head = slot.paired_head, options, where = file.name()](const ByteSink& sink) {
           return Produce(*tensor, head, options, where, sink);
         }});
  }
  return sources;
}

Status WriteTokenizer(const GgufFile& file,
                      const GgufModel& m,
                      const GgufTokenizer& from,
                      const fs::path& folder) {
  auto tokenizer = Tokenizer::FromText(from.json, "tokenizer.json");
  if (!tokenizer) return Within(tokenizer.error(), "{}: the tokenizer of its keys", file.name());
  if (static_cast<std::int64_t>(tokenizer->vocab_size()) > m.vocab) {
    return Fail(Code::kCorrupt, "{}: {} tokens, and token_embd.weight has {} rows", file.name(),
                tokenizer->vocab_size(), m.vocab);
  }
  return WriteTokenizerFolder(folder, *tokenizer,
                              {.eos_token = from.eos_token,
                               .pad_token = from.pad_token,
                               .bos_token = from.bos_token,
                               .model_max_length = m.context,
                               .chat_template = from.chat_template});
}

}  // namespace

std::vector<TensorProblem> CompareGguf(const GgufFile& file, const GgufModel& m) {
  std::vector<TensorProblem> problems;
  const auto report = [&](Mismatch kind, std::string_view tensor, const std::string& what) {
    problems.push_back(
        {kind, std::string(tensor), fmt::format("{}: tensor {} {}", file.name(), tensor, what)});
  };
  std::set<std::string, std::less<>> known = {"rope_freqs.weight"};
  for (const Slot& slot : SlotsOf(m)) {
    known.insert(slot.from);
    const GgufTensor* tensor = file.Find(slot.from);
    if (tensor == nullptr) {
      report(Mismatch::kMissing, slot.from, "is missing");
    } else if (tensor->shape != slot.shape) {
      report(Mismatch::kShape, slot.from,
             fmt::format("has shape [{}], its keys ask for [{}]", fmt::join(tensor->shape, ", "),
                         fmt::join(slot.shape, ", ")));
    } else if (slot.shape.size() == 1 && LayoutOf(tensor->type).weights != 1) {
      report(Mismatch::kType, slot.from,
             fmt::format("is a vector of {}, which is not supported", LayoutOf(tensor->type).name));
    }
  }
  for (const GgufTensor& tensor : file.tensors()) {
    if (known.contains(tensor.name)) continue;
    report(Mismatch::kUnexpected, tensor.name,
           fmt::format("is not part of the model that its keys describe ({}, {} layers)",
                       m.architecture, m.layers));
  }
  return problems;
}

Result<ImportReport> ImportGguf(const fs::path& path,
                                const fs::path& folder,
                                const ImportOptions& options) {
  AHA_ASSIGN(const GgufFile file, GgufFile::Open(path));
  AHA_ASSIGN(const GgufModel model, ReadGgufModel(file));
  AHA_ASSIGN(const GgufTokenizer tokenizer, ReadGgufTokenizer(file, options.reading));
  AHA_ASSIGN(std::vector<TensorSource> sources, Sources(file, model, options));
  ImportReport report;
  report.tensors = static_cast<std::int64_t>(sources.size());
  for (const TensorSource& source : sources) {
    std::int64_t numbers = 1;
    for (const std::int64_t size : source.shape)
      numbers *= size;
    report.parameters += numbers;
  }
  AHA_TRY(WriteWholeFolder(folder, [&](const fs::path& aside) -> Status {
    AHA_TRY(WriteTokenizer(file, model, tokenizer, aside));
    AHA_TRY(WriteWholeFile(aside / "config.json", GgufConfigJson(model, tokenizer, options.dtype)));
    AHA_TRY(WriteWholeFile(aside / "generation_config.json", GgufGenerationJson(tokenizer)));
    return WriteCheckpoint(aside, std::move(sources), options.save);
  }));
  return report;
}

}  // namespace aha::policy

// Pre-training: tokenizer and base model of the embedded world, from its corpus.

#include <chrono>

#include "base/log.h"
#include "base/whole_file.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/run/progress.h"
#include "pipelines/stages/stage.h"
#include "pipelines/stages/trainer_options.h"
#include "pipelines/stages/training_state.h"
#include "pipelines/tasks/corpus.h"
#include "policy/tokenizer/tokenizer_config.h"
#include "policy/tokenizer/train_bpe.h"
#include "sft/chat_template.h"
#include "sft/trainer.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

constexpr char kEndOfText[] = "<|endoftext|>";
// Llama 3's pattern, but that a number takes the blank before it along, as words do: half the
// tokens.
constexpr char kPattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Documents that the tokenizer is trained on, and those that the held-out loss is taken over.
constexpr std::uint64_t kTokenizerDocuments = 20000;
constexpr std::uint64_t kHeldOut = 256;

policy::Family FamilyOf(const std::string& model_type) {
  if (model_type == "llama") return policy::Family::kLlama;
  if (model_type == "qwen2") return policy::Family::kQwen2;
  if (model_type == "qwen3") return policy::Family::kQwen3;
  return policy::Family::kDeepseekV3;
}

policy::PolicyConfig ConfigOf(const proto::Architecture& a,
                              std::int64_t vocab,
                              std::int32_t stop_id) {
  policy::PolicyConfig c;
  c.family = FamilyOf(a.model_type());
  c.vocab_size = vocab;
  c.hidden_size = a.hidden_size();
  c.intermediate_size = a.intermediate_size();
  c.moe_intermediate_size = a.moe_intermediate_size();
  c.num_hidden_layers = a.num_hidden_layers();
  c.num_attention_heads = a.num_attention_heads();
  c.num_key_value_heads =
      a.num_key_value_heads() > 0 ? a.num_key_value_heads() : a.num_attention_heads();
  c.head_dim = a.head_dim() > 0 ? a.head_dim() : a.hidden_size() / a.num_attention_heads();
  c.tie_word_embeddings = a.tie_word_embeddings();
  c.q_lora_rank = a.q_lora_rank();
  c.kv_lora_rank = a.kv_lora_rank();
  c.qk_nope_head_dim = a.qk_nope_head_dim();
  c.qk_rope_head_dim = a.qk_rope_head_dim();
  c.v_head_dim = a.v_head_dim();
  c.n_routed_experts = a.n_routed_experts();
  c.n_shared_experts = a.n_shared_experts();
  c.num_experts_per_tok = a.num_experts_per_tok();
  c.n_group = a.n_group();
  c.topk_group = a.topk_group();
  c.routed_scaling_factor = a.routed_scaling_factor();
  c.first_k_dense_replace = a.first_k_dense_replace();
  c.num_nextn_predict_layers = a.num_nextn_predict_layers();
  c.max_position_embeddings = a.max_position_embeddings();
  c.rope_theta = a.rope_theta();
  c.rms_norm_eps = a.rms_norm_eps();
  c.initializer_range = a.initializer_range();
  c.eos_token_id = stop_id;
  c.bos_token_id = stop_id;
  c.dtype = a.dtype() == "fp32" ? policy::NumberType::kFp32 : policy::NumberType::kBf16;
  return c;
}

class PretrainStage {
 public:
  explicit PretrainStage(const StageIo& io) : io_(io), recipe_(io.stage->pretrain()) {}

  Result<StageReport> Run() {
    AHA_TRY(Prepare());
    AHA_ASSIGN(std::uint64_t step, state_->Resume());
    AHA_ASSIGN(MetricsWriter metrics_file, MetricsWriter::Open(io_.folder));
    const policy::Schedule schedule = ScheduleOf(recipe_.optimizer(), recipe_.steps());
    Progress progress(recipe_.steps(), io_.stage->name(), step);
    StageReport report;
    AHA_TRY(FindDocument(step));
    for (; step < recipe_.steps(); ++step) {
      AHA_ASSIGN(const std::vector<sft::Example> batch, NextBatch());
      const double rate = schedule.At(static_cast<std::int64_t>(step));
      const auto stepped = trainer_->Step(batch, rate);
      if (!stepped) return tl::unexpected<Error>(state_->AtStep(step, stepped.error(), io_.init));
      const sft::TrainReport& trained = *stepped;
      report.metrics = {{"loss", trained.loss},
                        {"mtp_loss", trained.mtp_loss},
                        {"tokens", static_cast<double>(trained.tokens)},
                        {"gradient_norm", trained.update.gradient_norm},
                        {"expert_load_max_violation", trained.update.max_violation},
                        {"learning_rate", rate}};
      const bool last = step + 1 == recipe_.steps();
      if (last) {
        AHA_ASSIGN(const double held_out,
                   sft::EvaluateLoss(*weights_, *io_.cpu, held_out_, recipe_.micro_batch_tokens()));
        report.metrics.push_back({"held_out_loss", held_out});
      }
      AHA_TRY(metrics_file.Write(step + 1, report.metrics));
      if (last || (step + 1) % recipe_.commit_every() == 0) {
        const Status committed = state_->Commit(step + 1);
        if (!committed)
          return tl::unexpected<Error>(state_->AtStep(step, committed.error(), io_.init));
      }
      progress.Advance(1, fmt::format("loss {:.4f}", trained.loss));
    }
    report.checkpoint = io_.folder / "checkpoint";
    AHA_TRY(SaveModel(*weights_, io_.folder / "tokenizer", report.checkpoint));
    return report;
  }

 private:
  Status Prepare() {
    AHA_ASSIGN(const sft::ChatTemplate prompt_template, sft::FindChatTemplate("aha"));
    AHA_ASSIGN(corpus_, CorpusMaker::Make(recipe_.corpus(), io_.recipe->seed(),
                                          [prompt_template](std::string_view q) {
                                            return prompt_template.Apply(q);
                                          }));
    AHA_TRY(MakeTokenizer());
    AHA_ASSIGN(tokenizer_, policy::Tokenizer::Load(io_.folder / "tokenizer" / "tokenizer.json"));
    stop_id_ = tokenizer_->IdOf(kEndOfText).value_or(-1);
    // By way of config.json: what that would refuse must not be trained, and the family fills in
    // the rest.
    const policy::PolicyConfig asked = ConfigOf(
        recipe_.architecture(), static_cast<std::int64_t>(tokenizer_->vocab_size()), stop_id_);
    AHA_ASSIGN(
        const policy::PolicyConfig config,
        policy::ParseConfig(policy::ConfigJson(asked), io_.stage->name() + ": architecture"));
    weights_ = policy::Weights::Initial(
        config, KeyedRandom(io_.recipe->seed(), "initial/" + io_.stage->name()));
    trainer_.emplace(*weights_, *io_.cpu, TrainerOptionsOf(recipe_));
    state_.emplace(io_.folder, *io_.cpu, *weights_, trainer_->optimizer(), nullptr,
                   std::vector<std::string>{kMetricsFile, kEventFile});
    for (std::uint64_t k = 0; k < kHeldOut; ++k) {
      AHA_ASSIGN(held_out_.emplace_back(), ExampleAt(kFirstHeldOut + k));
    }
    return {};
  }

  Status MakeTokenizer() {
    if (fs::exists(io_.folder / "tokenizer" / "tokenizer.json")) return {};
    std::vector<std::string> documents;
    for (std::uint64_t k = 0; k < kTokenizerDocuments; ++k) {
      AHA_ASSIGN(const Document document, MakeDocument(*corpus_, k));
      documents.push_back(document.prompt + document.completion);
    }
    policy::TrainOptions options;
    options.vocab_size = static_cast<std::int32_t>(recipe_.vocab_size());
    options.pattern = kPattern;
    options.added_tokens = {{kEndOfText, true},
                            {"<think>", false},
                            {"</think>", false},
                            {"<answer>", false},
                            {"</answer>", false}};
    AHA_ASSIGN(const std::string json, policy::TrainBpe(documents, options));
    AHA_ASSIGN(const policy::Tokenizer tokenizer,
               policy::Tokenizer::FromText(json, "the trained tokenizer"));
    policy::TokenizerConfig config;
    config.eos_token = kEndOfText;
    config.bos_token = kEndOfText;
    config.pad_token = kEndOfText;
    config.model_max_length = recipe_.architecture().max_position_embeddings();
    return WriteWholeFolder(io_.folder / "tokenizer", [&](const fs::path& aside) {
      return policy::WriteTokenizerFolder(aside, tokenizer, config);
    });
  }

  Result<sft::Example> ExampleAt(std::uint64_t k) const {
    AHA_ASSIGN(const Document document, MakeDocument(*corpus_, k));
    sft::Example example;
    AHA_ASSIGN(example.ids, tokenizer_->Encode(document.prompt + document.completion));
    example.ids.push_back(stop_id_);
    return example;
  }

  // Documents in order until the batch is full. A batch's first document follows from the lengths
  // of all before it, so a resumed stage counts its way there once.
  Result<std::vector<sft::Example>> NextBatch() {
    std::vector<sft::Example> batch;
    for (std::size_t tokens = 0; tokens < recipe_.batch_tokens();
         tokens += batch.back().ids.size()) {
      AHA_ASSIGN(batch.emplace_back(), ExampleAt(next_document_++));
    }
    return batch;
  }

  Status FindDocument(std::uint64_t steps) {
    for (std::uint64_t s = 0; s < steps; ++s)
      AHA_TRY(NextBatch());
    return {};
  }

  static constexpr std::uint64_t kFirstHeldOut = std::uint64_t{1}
                                                 << 40U;  // never reached by training
  const StageIo& io_;
  const proto::Pretrain& recipe_;
  std::optional<CorpusMaker> corpus_;
  std::optional<policy::Tokenizer> tokenizer_;
  std::optional<policy::Weights> weights_;
  std::optional<sft::Trainer> trainer_;
  std::optional<TrainingState> state_;
  std::vector<sft::Example> held_out_;
  std::int32_t stop_id_ = -1;
  std::uint64_t next_document_ = 0;
};

}  // namespace

Result<StageReport> RunPretrain(const StageIo& io) {
  return PretrainStage(io).Run();
}

}  // namespace aha::pipelines

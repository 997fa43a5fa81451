#include "policy/tokenizer/train_bpe.h"

#include <algorithm>
#include <deque>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "policy/tokenizer/added_tokens.h"
#include "policy/tokenizer/bpe.h"
#include "policy/tokenizer/pre_tokenizer.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

using Json = nlohmann::ordered_json;
using Pair = std::pair<std::int32_t, std::int32_t>;

struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    const auto key = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(pair.first)) << 32U) |
                     static_cast<std::uint32_t>(pair.second);
    return static_cast<std::size_t>(((key ^ (key >> 29U)) * 0x9E3779B97F4A7C15ULL) >> 16U);
  }
};

Json PreTokenizerJson(const std::string& pattern) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"},
             {"pattern", {{"Regex", pattern}}},
             {"behavior", "Isolated"},
             {"invert", false}},
            {{"type", "ByteLevel"},
             {"add_prefix_space", false},
             {"trim_offsets", true},
             {"use_regex", false}}}}};
}

// The 256 bytes in the order of the characters that stand for them.
std::vector<std::uint8_t> SortedAlphabet() {
  std::vector<std::uint8_t> bytes(256);
  for (std::size_t i = 0; i < 256; ++i)
    bytes[i] = static_cast<std::uint8_t>(i);
  std::sort(bytes.begin(), bytes.end(),
            [](auto a, auto b) { return ByteLevelCharacter(a) < ByteLevelCharacter(b); });
  return bytes;
}

Status CheckOptions(const TrainOptions& options) {
  const std::size_t least = 256 + options.added_tokens.size();
  if (options.vocab_size < 0 || static_cast<std::size_t>(options.vocab_size) < least ||
      options.vocab_size > TokenTable::kMaxId) {
    return Fail(Code::kInvalidArgument,
                "vocab_size: {} is not between {} (bytes and added tokens) and {}",
                options.vocab_size, least, TokenTable::kMaxId);
  }
  std::unordered_set<std::string> seen;
  for (const auto& [name, special] : options.added_tokens) {
    if (name.empty()) return Fail(Code::kInvalidArgument, "added_tokens: a name is empty");
    if (FirstInvalidUtf8(name))
      return Fail(Code::kInvalidArgument, "added_tokens: a name is not UTF-8");
    const auto bytes = FromByteLevel(name);
    if (bytes && bytes->size() == 1) {
      return Fail(Code::kInvalidArgument, "added_tokens: \"{}\" is already the token of a byte",
                  name);
    }
    if (!seen.insert(name).second)
      return Fail(Code::kInvalidArgument, "added_tokens: \"{}\" is there twice", name);
  }
  return {};
}

// Every piece of the documents with how often it occurs, in byte order.
Result<std::vector<std::pair<std::string, std::int64_t>>> CountWords(
    std::span<const std::string> documents,
    const TrainOptions& options) {
  AHA_ASSIGN(const auto pre_tokenizer,
             PreTokenizer::FromJson(nlohmann::json(PreTokenizerJson(options.pattern)), "pattern"));
  std::vector<AddedToken> added;
  for (const auto& spec : options.added_tokens) {
    AddedToken token;
    token.content = spec.name;
    added.push_back(std::move(token));
  }
  const AddedTokenFinder finder(std::move(added));
  StringMap<std::int64_t> counts;
  std::vector<AddedTokenFinder::Segment> segments;
  const PreTokenizer::Sink count = [&](std::span<const std::string_view> pieces) {
    for (const std::string_view piece : pieces) {
      const auto found = counts.find(piece);
      if (found != counts.end()) {
        ++found->second;
      } else {
        counts.emplace(piece, 1);
      }
    }
  };
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (const auto bad = FirstInvalidUtf8(documents[i])) {
      return Fail(Code::kInvalidArgument, "document {}: not UTF-8 at byte {}", i, *bad);
    }
    segments.clear();
    finder.Split(documents[i], &segments);
    for (const auto& segment : segments) {
      if (segment.id != AddedTokenFinder::kPlain) continue;
      if (Status split = pre_tokenizer.Split(segment.text, count); !split) {
        return Within(split.error(), "document {}", i);
      }
    }
  }
  std::vector<std::pair<std::string, std::int64_t>> words(counts.begin(), counts.end());
  std::sort(words.begin(), words.end());
  return words;
}

// The merges, found with pair counts that are kept up to date as words shrink.
class Trainer {
 public:
  Trainer(const TrainOptions& options,
          const std::vector<std::pair<std::string, std::int64_t>>& words) {
    for (const auto& spec : options.added_tokens)
      AddToken(spec.name);
    std::vector<std::int32_t> id_of_byte(256);
    for (const std::uint8_t byte : SortedAlphabet()) {
      std::string token;
      AppendUtf8(ByteLevelCharacter(byte), token);
      id_of_byte[byte] = AddToken(token);
    }
    for (const auto& [text, count] : words) {
      Word word{{}, count};
      for (const char byte : text)
        word.ids.push_back(id_of_byte[static_cast<std::uint8_t>(byte)]);
      words_.push_back(std::move(word));
    }
  }

  void Run(std::size_t vocab_size) {
    for (std::uint32_t w = 0; w < words_.size(); ++w) {
      const auto& ids = words_[w].ids;
      for (std::size_t i = 0; i + 1 < ids.size(); ++i)
        Change({ids[i], ids[i + 1]}, words_[w].count, w);
    }
    QueueRaised();
    while (tokens_.size() < vocab_size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      // Counts move while a candidate waits. One that fell waits again with what is left; one that
      // rose is in the queue again already.
      const std::int64_t count = pairs_[best.pair].count;
      if (count < best.count && count > 0) queue_.push({count, best.pair});
      if (count == best.count) Merge(best.pair);
    }
  }

  [[nodiscard]] const std::vector<std::string>& tokens() const { return tokens_; }
  [[nodiscard]] const std::vector<Pair>& merges() const { return merges_; }

 private:
  struct Word {
    std::vector<std::int32_t> ids;
    std::int64_t count;
  };
  struct PairState {
    std::int64_t count = 0;
    std::vector<std::uint32_t> words;  // where it is, or was; may repeat
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  std::int32_t AddToken(const std::string& token) {
    const auto [found, added] = ids_.emplace(token, static_cast<std::int32_t>(tokens_.size()));
    if (added) tokens_.push_back(token);
    return found->second;
  }

  void Change(const Pair& pair, std::int64_t by, std::uint32_t word) {
    PairState& state = pairs_[pair];
    state.count += by;
    if (by <= 0) return;
    if (state.words.empty() || state.words.back() != word) state.words.push_back(word);
    raised_.push_back(pair);
  }

  void Merge(const Pair& pair) {
    const std::int32_t merged = AddToken(tokens_[static_cast<std::size_t>(pair.first)] +
                                         tokens_[static_cast<std::size_t>(pair.second)]);
    merges_.push_back(pair);
    const std::vector<std::uint32_t> where = std::move(pairs_[pair].words);
    for (const std::uint32_t word : where)
      MergeInWord(pair, merged, word);
    pairs_[pair] = {};
    QueueRaised();
  }

  void QueueRaised() {
    std::sort(raised_.begin(), raised_.end());
    raised_.erase(std::unique(raised_.begin(), raised_.end()), raised_.end());
    for (const Pair& up : raised_) {
      const std::int64_t count = pairs_[up].count;
      if (count > 0) queue_.push({count, up});
    }
    raised_.clear();
  }

  void MergeInWord(const Pair& pair, std::int32_t merged, std::uint32_t w) {
    std::vector<std::int32_t>& ids = words_[w].ids;
    const std::int64_t count = words_[w].count;
    std::size_t out = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i + 1 >= ids.size() || Pair(ids[i], ids[i + 1]) != pair) {
        ids[out++] = ids[i];
        continue;
      }
      if (out > 0) {
        Change({ids[out - 1], pair.first}, -count, w);
        Change({ids[out - 1], merged}, count, w);
      }
      ++i;
      if (i + 1 < ids.size()) {
        Change({pair.second, ids[i + 1]}, -count, w);
        Change({merged, ids[i + 1]}, count, w);
      }
      ids[out++] = merged;
    }
    ids.resize(out);
  }

  std::vector<std::string> tokens_;  // by id
  StringMap<std::int32_t> ids_;
  std::vector<Pair> merges_;
  std::vector<Word> words_;
  std::unordered_map<Pair, PairState, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<Pair> raised_;  // pairs whose count rose since the queue last heard of them
};

std::string ToJson(const TrainOptions& options, const Trainer& trainer) {
  Json added = Json::array();
  for (std::size_t i = 0; i < options.added_tokens.size(); ++i) {
    added.push_back({{"id", i},
                     {"content", options.added_tokens[i].name},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", options.added_tokens[i].special}});
  }
  Json vocab = Json::object();
  auto& members =
      vocab.get_ref<Json::object_t&>();  // appended to: a lookup each would be quadratic
  for (std::size_t id = 0; id < trainer.tokens().size(); ++id) {
    members.Container::emplace_back(trainer.tokens()[id], id);
  }
  Json merges = Json::array();
  for (const auto& [left, right] : trainer.merges()) {
    merges.push_back({trainer.tokens()[static_cast<std::size_t>(left)],
                      trainer.tokens()[static_cast<std::size_t>(right)]});
  }
  Json json = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", std::move(added)},
               {"normalizer", nullptr},
               {"pre_tokenizer", PreTokenizerJson(options.pattern)},
               {"post_processor", nullptr},
               {"decoder",
                {{"type", "ByteLevel"},
                 {"add_prefix_space", true},
                 {"trim_offsets", true},
                 {"use_regex", true}}},
               {"model",
                {{"type", "BPE"},
                 {"dropout", nullptr},
                 {"unk_token", nullptr},
                 {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr},
                 {"fuse_unk", false},
                 {"byte_fallback", false},
                 {"ignore_merges", false},
                 {"vocab", std::move(vocab)},
                 {"merges", std::move(merges)}}}};
  return json.dump(2) + "\n";
}

}  // namespace

Result<std::string> TrainBpe(std::span<const std::string> documents, const TrainOptions& options) {
  AHA_TRY(CheckOptions(options));
  AHA_ASSIGN(const auto words, CountWords(documents, options));
  Trainer trainer(options, words);
  trainer.Run(static_cast<std::size_t>(options.vocab_size));
  return ToJson(options, trainer);
}

}  // namespace aha::policy

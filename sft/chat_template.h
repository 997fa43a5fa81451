#pragma once
/// How a conversation becomes the text that a model continues: the families' own chat templates,
/// written out as transformers' apply_chat_template renders them, and templates for base models.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aha::sft {

struct ChatMessage {
  std::string role;  ///< system, user or assistant
  std::string content;
};

class ChatTemplate {
 public:
  enum class Kind : std::uint8_t {
    kPrompt,    ///< a text before each question and one after it: base models
    kChatMl,    ///< <|im_start|>role ... <|im_end|>
    kLlama3,    ///< <|start_header_id|>role<|end_header_id|> ... <|eot_id|>
    kDeepSeek,  ///< <｜User｜> ... <｜Assistant｜> ... <｜end▁of▁sentence｜>
  };

  std::string name;
  std::string doc;
  Kind kind = Kind::kPrompt;
  /// kPrompt: before and after a question. Else: what opens and ends the system message that is
  /// there when the conversation brings none (kLlama3: also around one that it brings).
  std::string prefix, suffix;
  bool always_system = false;         ///< a system message that the conversation lacks is put first
  bool strips_leading_space = false;  ///< see ForScoring
  bool drops_thinking = false;        ///< earlier answers lose everything up to </think>
  std::string opens_answer;           ///< what the prompt begins the answer with ("<think>\n")
  std::string bos;                    ///< kLlama3, kDeepSeek: the beginning-of-text token
  std::string stop;                   ///< the token that ends an answer; empty: the model's own

  /// The text of a conversation. With `add_generation_prompt` it ends where an answer begins.
  /// Exactly transformers' text for the family's template. kInvalidArgument: no message, a role
  /// other than those three, a system message that is not the first, or one for kPrompt.
  [[nodiscard]] Result<std::string> Render(std::span<const ChatMessage> messages,
                                           bool add_generation_prompt = true) const;

  /// The prompt for one question.
  [[nodiscard]] std::string Apply(std::string_view question) const;

  /// `completion` as the rewards should see it: without the one space or newline that a prompt such
  /// as "Assistant:" invites, and with what the prompt had already begun the answer with.
  [[nodiscard]] std::string ForScoring(std::string_view completion) const;
};

/// Every template that can be named.
std::span<const ChatTemplate> ChatTemplates();

/// The template of that name. kInvalidArgument when there is none.
Result<ChatTemplate> FindChatTemplate(std::string_view name);

/// What a Jinja text is, if it is one of the families' templates. kInvalidArgument otherwise; the
/// message says how to go on.
Result<ChatTemplate> RecogniseChatTemplate(std::string_view jinja);

/// The model folder's own template: chat_template.jinja, or the one in tokenizer_config.json, with
/// the folder's bos_token. Nothing when it has none; kInvalidArgument when it is an unknown one.
Result<std::optional<ChatTemplate>> ReadChatTemplate(const std::filesystem::path& folder);

/// `name`, or for "auto" the folder's own template and "aha" when it has none.
Result<ChatTemplate> ChooseChatTemplate(std::string_view name, const std::filesystem::path& folder);

}  // namespace aha::sft

// Which of the known templates a model folder has.

#include <array>

#include "base/whole_file.h"
#include "policy/checkpoint/strict_json.h"
#include "sft/chat_template.h"

namespace aha::sft {
namespace fs = std::filesystem;
namespace {

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The text with the newlines that Jinja's string literals spell as \n.
std::string WithNewlines(std::string_view jinja) {
  std::string text;
  for (std::size_t i = 0; i < jinja.size(); ++i) {
    const bool escape = jinja[i] == '\\' && i + 1 < jinja.size() && jinja[i + 1] == 'n';
    text.push_back(escape ? '\n' : jinja[i]);
    if (escape) ++i;
  }
  return text;
}

tl::unexpected<Error> Unknown(std::string_view why) {
  return Fail(Code::kInvalidArgument,
              "the chat template is none of those that Aha knows ({}); name one with `template` in "
              "the recipe or --template: chatml, "
              "smollm2, qwen2, qwen2.5, llama3, llama3.1, deepseek-v3, deepseek-r1, "
              "deepseek-r1-free, r1-zero, plain or aha",
              why);
}

// What the family's own templates never do to a message without tools or images.
Status RefuseExtras(std::string_view text, std::initializer_list<std::string_view> extras) {
  for (const std::string_view extra : extras) {
    if (Has(text, extra)) return Unknown(fmt::format("it uses {}", extra));
  }
  return {};
}

Result<ChatTemplate> RecogniseChatMl(std::string_view text) {
  AHA_TRY(RefuseExtras(text, {"enable_thinking", "reasoning_content", "</think>", "trim", "strip(",
                              "replace(", "upper", "lower", "split(", "bos_token", "eos_token",
                              "strftime_now", "capitalize", "image"}));
  constexpr std::string_view kOpen = "<|im_start|>system\n";
  std::string system;
  for (std::size_t at = 0; (at = text.find(kOpen, at)) != std::string_view::npos;) {
    at += kOpen.size();
    const std::size_t end = text.find("<|im_end|>", at);
    if (end == std::string_view::npos) continue;
    const std::string_view content = text.substr(at, end - at);
    if (content.empty() || content.find_first_of("'\"{}") != std::string_view::npos) continue;
    if (!system.empty() && system != content) return Unknown("it has two default system messages");
    system = content;
  }
  if (!Has(text, "<|im_start|>assistant\n") || !Has(text, "add_generation_prompt"))
    return Unknown("it has no generation prompt");
  for (const ChatTemplate& known : ChatTemplates()) {
    if (known.kind == ChatTemplate::Kind::kChatMl && known.prefix == system) return known;
  }
  ChatTemplate chatml = FindChatTemplate("chatml").value();
  chatml.prefix = system;
  chatml.always_system = true;
  return chatml;
}

Result<ChatTemplate> RecogniseLlama3(std::string_view text) {
  AHA_TRY(RefuseExtras(text, {"enable_thinking", "reasoning_content", "</think>", "strftime_now",
                              "replace(", "split("}));
  if (!Has(text, "trim")) return Unknown("it does not trim its messages");
  if (!Has(text, "Today Date: ")) return FindChatTemplate("llama3");
  if (!Has(text, "Cutting Knowledge Date: December 2023\n") || !Has(text, "\"26 Jul 2024\""))
    return Unknown("its dates are others");
  return FindChatTemplate("llama3.1");
}

Result<ChatTemplate> RecogniseDeepSeek(std::string_view text) {
  AHA_TRY(RefuseExtras(text, {"enable_thinking", "reasoning_content", "thinking ", "strftime_now",
                              "trim", "replace("}));
  if (!Has(text, "bos_token") || !Has(text, "<｜end▁of▁sentence｜>"))
    return Unknown("it lacks <｜end▁of▁sentence｜>");
  const bool opens = Has(text, "<｜Assistant｜><think>\n");
  if (!Has(text, "</think>")) {
    if (opens) return Unknown("it opens <think> and keeps the thinking of earlier answers");
    return FindChatTemplate("deepseek-v3");
  }
  if (!Has(text, "split('</think>')[-1]")) return Unknown("it treats </think> in another way");
  return FindChatTemplate(opens ? "deepseek-r1" : "deepseek-r1-free");
}

// tokenizer_config.json's token: a string, or an object with its content.
std::optional<std::string> TokenIn(const nlohmann::json& config, const char* key) {
  const nlohmann::json* token = &policy::JsonMember(config, key);
  if (token->is_object()) token = &policy::JsonMember(*token, "content");
  return token->is_string() ? std::optional(token->get<std::string>()) : std::nullopt;
}

// tokenizer_config.json's template: a string, or one of a list with names. Empty: none.
std::string TemplateIn(const nlohmann::json& config) {
  const nlohmann::json& found = policy::JsonMember(config, "chat_template");
  if (found.is_string()) return found.get<std::string>();
  if (!found.is_array()) return {};
  for (const nlohmann::json& entry : found) {
    if (policy::JsonMember(entry, "name") == "default" &&
        policy::JsonMember(entry, "template").is_string()) {
      return policy::JsonMember(entry, "template").get<std::string>();
    }
  }
  return {};
}

}  // namespace

Result<ChatTemplate> RecogniseChatTemplate(std::string_view jinja) {
  const std::string text = WithNewlines(jinja);
  if (Has(text, "<｜User｜>") && Has(text, "<｜Assistant｜>")) return RecogniseDeepSeek(text);
  if (Has(text, "<|start_header_id|>") && Has(text, "<|eot_id|>")) return RecogniseLlama3(text);
  if (Has(text, "<|im_start|>") && Has(text, "<|im_end|>")) return RecogniseChatMl(text);
  return Unknown("it has no tokens of ChatML, Llama 3 or DeepSeek");
}

Result<std::optional<ChatTemplate>> ReadChatTemplate(const fs::path& folder) {
  std::error_code error;
  const fs::path config_file = folder / "tokenizer_config.json";
  const fs::path jinja_file = folder / "chat_template.jinja";
  nlohmann::json config = nlohmann::json::object();
  if (fs::exists(config_file, error)) {
    AHA_ASSIGN(const std::string text, ReadFile(config_file));
    AHA_ASSIGN(config, policy::ParseStrictJson(text, config_file.string()));
  }
  std::string jinja;
  fs::path from = config_file;
  if (fs::exists(jinja_file, error)) {
    from = jinja_file;
    AHA_ASSIGN(jinja, ReadFile(jinja_file));
  } else {
    jinja = TemplateIn(config);
  }
  if (jinja.empty()) return std::optional<ChatTemplate>();
  Result<ChatTemplate> known = RecogniseChatTemplate(jinja);
  if (!known) return Within(known.error(), "{}", from.string());
  if (!known->bos.empty()) known->bos = TokenIn(config, "bos_token").value_or(known->bos);
  return std::optional(std::move(*known));
}

Result<ChatTemplate> ChooseChatTemplate(std::string_view name, const fs::path& folder) {
  if (name != "auto") return FindChatTemplate(name);
  AHA_ASSIGN(std::optional<ChatTemplate> own, ReadChatTemplate(folder));
  return own ? Result<ChatTemplate>(std::move(*own)) : FindChatTemplate("aha");
}

}  // namespace aha::sft

#include "sft/chat_template.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy/tokenizer/unicode_class.h"

namespace aha::sft {
namespace {

constexpr std::string_view kThinkEnd = "</think>";
constexpr std::string_view kSystemHeader = "<|start_header_id|>system<|end_header_id|>\n\n";

ChatTemplate Prompt(std::string name,
                    std::string doc,
                    std::string prefix,
                    std::string suffix,
                    bool strips) {
  ChatTemplate t;
  t.name = std::move(name);
  t.doc = std::move(doc);
  t.prefix = std::move(prefix);
  t.suffix = std::move(suffix);
  t.strips_leading_space = strips;
  return t;
}

ChatTemplate ChatMl(std::string name, std::string doc, std::string system) {
  ChatTemplate t;
  t.name = std::move(name);
  t.doc = std::move(doc);
  t.kind = ChatTemplate::Kind::kChatMl;
  t.always_system = !system.empty();
  t.prefix = std::move(system);
  t.stop = "<|im_end|>";
  return t;
}

ChatTemplate Llama3(std::string name, std::string doc, std::string system_prefix) {
  ChatTemplate t;
  t.name = std::move(name);
  t.doc = std::move(doc);
  t.kind = ChatTemplate::Kind::kLlama3;
  t.always_system = !system_prefix.empty();
  t.prefix = std::move(system_prefix);
  t.bos = "<|begin_of_text|>";
  t.stop = "<|eot_id|>";
  return t;
}

ChatTemplate DeepSeek(std::string name,
                      std::string doc,
                      bool drops_thinking,
                      std::string opens_answer) {
  ChatTemplate t;
  t.name = std::move(name);
  t.doc = std::move(doc);
  t.kind = ChatTemplate::Kind::kDeepSeek;
  t.drops_thinking = drops_thinking;
  t.opens_answer = std::move(opens_answer);
  t.bos = "<｜begin▁of▁sentence｜>";
  t.stop = "<｜end▁of▁sentence｜>";
  return t;
}

// What Python's str.strip takes away.
bool IsPythonSpace(std::uint8_t char_class, char first) {
  return (char_class & (policy::kSpace | policy::kLineEnd)) != 0 ||
         (first >= '\x1c' && first <= '\x1f');
}

std::string_view Strip(std::string_view text) {
  const policy::UnicodeClasses& classes = policy::UnicodeClasses::Get();
  std::size_t begin = text.size();
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const policy::ClassedChar c = classes.At(text.data() + at);
    const bool space = IsPythonSpace(c.char_class, text[at]);
    if (!space) begin = std::min(begin, at);
    at = std::min(text.size(), at + c.length);
    if (!space) end = at;
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

std::string RenderPrompt(const ChatTemplate& t, std::span<const ChatMessage> messages) {
  std::string text;
  for (const ChatMessage& m : messages) {
    text += m.role == "user" ? t.prefix + m.content + t.suffix : m.content + "\n";
  }
  return text;
}

std::string RenderChatMl(const ChatTemplate& t,
                         std::span<const ChatMessage> messages,
                         bool add_generation_prompt) {
  std::string text;
  const auto add = [&](std::string_view role, std::string_view content) {
    text += fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, content);
  };
  if (t.always_system && messages[0].role != "system") add("system", t.prefix);
  for (const ChatMessage& m : messages)
    add(m.role, m.content);
  if (add_generation_prompt) text += "<|im_start|>assistant\n";
  return text;
}

std::string RenderLlama3(const ChatTemplate& t,
                         std::span<const ChatMessage> messages,
                         bool add_generation_prompt) {
  std::string text = t.bos;
  if (t.always_system) {
    const bool own = messages[0].role == "system";
    text += fmt::format("{}{}{}<|eot_id|>", kSystemHeader, t.prefix,
                        own ? Strip(messages[0].content) : "");
    if (own) messages = messages.subspan(1);
  }
  for (const ChatMessage& m : messages) {
    text += fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>", m.role,
                        Strip(m.content));
  }
  if (add_generation_prompt) text += "<|start_header_id|>assistant<|end_header_id|>\n\n";
  return text;
}

std::string RenderDeepSeek(const ChatTemplate& t,
                           std::span<const ChatMessage> messages,
                           bool add_generation_prompt) {
  std::string text = t.bos;
  for (const ChatMessage& m : messages) {
    std::string_view content = m.content;
    if (m.role == "assistant") {
      const std::size_t thought = content.rfind(kThinkEnd);
      if (t.drops_thinking && thought != std::string_view::npos)
        content.remove_prefix(thought + kThinkEnd.size());
      text += fmt::format("<｜Assistant｜>{}<｜end▁of▁sentence｜>", content);
    } else {
      text += fmt::format("{}{}", m.role == "user" ? "<｜User｜>" : "", content);
    }
  }
  if (add_generation_prompt) text += fmt::format("<｜Assistant｜>{}", t.opens_answer);
  return text;
}

}  // namespace

Result<std::string> ChatTemplate::Render(std::span<const ChatMessage> messages,
                                         bool add_generation_prompt) const {
  if (messages.empty())
    return Fail(Code::kInvalidArgument, "a conversation has at least one message");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role != "system" && role != "user" && role != "assistant") {
      return Fail(Code::kInvalidArgument,
                  "message {}: role \"{}\" is not system, user or assistant", i,
                  role.substr(0, 64));
    }
    if (role == "system" && i > 0)
      return Fail(Code::kInvalidArgument, "message {}: a system message must be the first", i);
    if (role == "system" && kind == Kind::kPrompt) {
      return Fail(Code::kInvalidArgument, "template {} has no place for a system message", name);
    }
  }
  switch (kind) {
    case Kind::kChatMl:
      return RenderChatMl(*this, messages, add_generation_prompt);
    case Kind::kLlama3:
      return RenderLlama3(*this, messages, add_generation_prompt);
    case Kind::kDeepSeek:
      return RenderDeepSeek(*this, messages, add_generation_prompt);
    case Kind::kPrompt:
      break;
  }
  return RenderPrompt(*this, messages);
}

std::string ChatTemplate::Apply(std::string_view question) const {
  const ChatMessage message{"user", std::string(question)};
  return Render(std::span(&message, 1)).value();  // one user message fits every template
}

std::string ChatTemplate::ForScoring(std::string_view completion) const {
  const bool strip = strips_leading_space && !completion.empty() &&
                     (completion.front() == ' ' || completion.front() == '\n');
  return opens_answer + std::string(completion.substr(strip ? 1 : 0));
}

std::span<const ChatTemplate> ChatTemplates() {
  static const std::vector<ChatTemplate> templates = {
      Prompt("aha", "the embedded world's: a user's line and an assistant's",
             "User: ", "\nAssistant:", false),
      // Structure only, no advice on how to reason: DeepSeek-R1 (arXiv:2501.12948), section 2.2.
      Prompt(
          "r1-zero", "DeepSeek-R1's for base models: asks for <think> and <answer>",
          "A conversation between a User and an Assistant: the user asks a question and the "
          "Assistant "
          "solves it. The assistant first reasons about it in its mind and then gives the user the "
          "answer. The reasoning and the answer are put inside <think> </think> and <answer> "
          "</answer> "
          "tags, in this order, that is, <think> the reasoning is here </think> <answer> the "
          "answer is "
          "here </answer>. User: ",
          ". Assistant:", true),
      Prompt("plain", "the question and a newline", "", "\n", false),
      ChatMl("chatml", "ChatML without a system message of its own", ""),
      ChatMl("smollm2", "SmolLM2: ChatML with its default system message",
             "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
      ChatMl("qwen2", "Qwen2: ChatML with its default system message",
             "You are a helpful assistant."),
      ChatMl("qwen2.5", "Qwen2.5: ChatML with its default system message",
             "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
      Llama3("llama3", "Llama 3", ""),
      Llama3("llama3.1", "Llama 3.1 to 3.3, with the template's own date",
             "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"),
      DeepSeek("deepseek-v3", "DeepSeek-V3", false, ""),
      DeepSeek("deepseek-r1", "DeepSeek-R1 and its distillations: the prompt opens <think>", true,
               "<think>\n"),
      DeepSeek("deepseek-r1-free", "as deepseek-r1, but the model itself opens <think>", true, ""),
  };
  return templates;
}

Result<ChatTemplate> FindChatTemplate(std::string_view name) {
  std::vector<std::string_view> known;
  for (const ChatTemplate& entry : ChatTemplates()) {
    if (entry.name == name) return entry;
    known.push_back(entry.name);
  }
  return Fail(Code::kInvalidArgument, "{}: no such prompt template; known: {}", name.substr(0, 64),
              fmt::join(known, ", "));
}

}  // namespace aha::sft

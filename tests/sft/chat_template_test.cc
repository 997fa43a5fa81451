#include "sft/chat_template.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/whole_file.h"

namespace aha::sft {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

// Texts of transformers' apply_chat_template, recorded by tests/golden/make_chat_golden.py.
const Json& Golden() {
  static const Json golden =
      Json::parse(ReadFile(AHA_SOURCE_DIR "/tests/sft/golden/chat_templates.json").value());
  return golden;
}

std::vector<ChatMessage> MessagesOf(const Json& talk) {
  std::vector<ChatMessage> messages;
  for (const Json& m : talk)
    messages.push_back({m.at("role"), m.at("content")});
  return messages;
}

class ChatGoldenTest : public testing::TestWithParam<std::size_t> {};

TEST_P(ChatGoldenTest, RecognisesAndRendersLikeTransformers) {
  const Json& family = Golden().at("families").at(GetParam());
  const auto known = RecogniseChatTemplate(family.at("jinja").get<std::string>());
  ASSERT_TRUE(known) << known.error().message;
  EXPECT_EQ(known->name, family.at("name").get<std::string>());
  const Json& talks = Golden().at("conversations");
  for (std::size_t i = 0; i < talks.size(); ++i) {
    for (const bool prompt : {false, true}) {
      const auto text = known->Render(MessagesOf(talks[i]), prompt);
      ASSERT_TRUE(text) << text.error().message;
      EXPECT_EQ(*text, family.at("texts").at(i).at(prompt ? 1 : 0).get<std::string>()) << talks[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families,
                         ChatGoldenTest,
                         testing::Range(std::size_t{0}, Golden().at("families").size()),
                         [](const auto& p) {
                           std::string name = Golden().at("families").at(p.param).at("name");
                           std::replace_if(
                               name.begin(), name.end(),
                               [](char c) { return c == '.' || c == '-'; }, '_');
                           return name;
                         });

TEST(ChatTemplate, PutsAQuestionIntoABaseModelsPrompt) {
  EXPECT_EQ(FindChatTemplate("aha")->Apply("What is {} ?"), "User: What is {} ?\nAssistant:");
  EXPECT_EQ(FindChatTemplate("plain")->Apply("Q"), "Q\n");
  const std::string zero = FindChatTemplate("r1-zero")->Apply("{question}");
  EXPECT_TRUE(zero.ends_with("User: {question}. Assistant:"));
  EXPECT_THAT(
      zero,
      HasSubstr("<think> the reasoning is here </think> <answer> the answer is here </answer>"));
}

TEST(ChatTemplate, ScoresWhatPromptAndModelWroteTogether) {
  const ChatTemplate zero = FindChatTemplate("r1-zero").value();
  EXPECT_EQ(zero.ForScoring(" <think>"), "<think>");
  EXPECT_EQ(zero.ForScoring("\n<think>"), "<think>");
  EXPECT_EQ(zero.ForScoring("  <think>"), " <think>");
  EXPECT_EQ(zero.ForScoring(""), "");
  EXPECT_EQ(FindChatTemplate("aha")->ForScoring(" <think>"), " <think>");
  EXPECT_EQ(FindChatTemplate("deepseek-r1")->ForScoring("so\n</think>\n7"),
            "<think>\nso\n</think>\n7");
}

TEST(ChatTemplate, RefusesConversationsThatItCannotRender) {
  const ChatTemplate chatml = FindChatTemplate("chatml").value();
  const std::vector<ChatMessage> tool{{"tool", "x"}}, late{{"user", "x"}, {"system", "y"}},
      system{{"system", "x"}};
  EXPECT_THAT(chatml.Render({}).error().message, HasSubstr("at least one message"));
  EXPECT_THAT(chatml.Render(tool).error().message, HasSubstr("message 0: role \"tool\""));
  EXPECT_THAT(chatml.Render(late).error().message,
              HasSubstr("message 1: a system message must be the first"));
  EXPECT_THAT(FindChatTemplate("aha")->Render(system).error().message,
              HasSubstr("no place for a system message"));
  EXPECT_THAT(FindChatTemplate("r1").error().message,
              HasSubstr("r1: no such prompt template; known: aha, r1-zero, plain"));
}

TEST(ChatTemplate, RefusesUnknownTemplatesAndSaysHowToGoOn) {
  const std::string_view unknown[] = {
      "",
      "{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}",
      "{{ '<|im_start|>user\n' + m.content | trim + '<|im_end|>' }}{% if add_generation_prompt "
      "%}<|im_start|>assistant\n{% endif %}",
      "{% if enable_thinking %}{% endif %}<|im_start|>assistant\n<|im_end|>add_generation_prompt",
      "<|start_header_id|>{{ strftime_now('%d %b %Y') }} trim <|eot_id|>",
      "<｜User｜><｜Assistant｜>bos_token<｜end▁of▁sentence｜></think>",
  };
  for (const std::string_view jinja : unknown) {
    const auto known = RecogniseChatTemplate(jinja);
    ASSERT_FALSE(known) << jinja;
    EXPECT_EQ(known.error().code, Code::kInvalidArgument);
    EXPECT_THAT(known.error().message,
                HasSubstr("name one with `template` in the recipe or --template: chatml"));
  }
}

TEST(ChatTemplate, KeepsAChatMlDefaultOfSomebodysOwn) {
  std::string jinja = Golden().at("families").at(2).at("jinja");
  const std::string theirs = "You are a helpful assistant.";
  jinja.replace(jinja.find(theirs), theirs.size(), "Be brief.");
  EXPECT_EQ(RecogniseChatTemplate(jinja)->Apply("Q"),
            "<|im_start|>system\nBe "
            "brief.<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n");
}

class ChatFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / "aha_chat_template";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const char* name, const std::string& text) {
    ASSERT_TRUE(WriteWholeFile(folder_ / name, text));
  }
  static std::string Jinja(std::size_t family) {
    return Golden().at("families").at(family).at("jinja");
  }
  std::filesystem::path folder_;
};

TEST_F(ChatFolderTest, AutoIsTheFoldersOwnOrElseTheEmbeddedWorlds) {
  EXPECT_EQ(ChooseChatTemplate("auto", folder_)->name, "aha");
  Write("tokenizer_config.json",
        Json({{"bos_token", {{"content", "<BOS>"}}}, {"chat_template", Jinja(4)}}).dump());
  EXPECT_EQ(ChooseChatTemplate("auto", folder_)->name, "llama3");
  EXPECT_TRUE(
      ChooseChatTemplate("auto", folder_)->Apply("Q").starts_with("<BOS><|start_header_id|>user"));
  EXPECT_EQ(ChooseChatTemplate("plain", folder_)->name, "plain");
  Write("tokenizer_config.json",
        Json({{"chat_template", Json::array({{{"name", "default"}, {"template", Jinja(1)}}})}})
            .dump());
  EXPECT_EQ(ChooseChatTemplate("auto", folder_)->name, "smollm2");
  Write("chat_template.jinja", Jinja(3));  // where transformers 5 puts it
  EXPECT_EQ(ChooseChatTemplate("auto", folder_)->name, "qwen2.5");
}

TEST_F(ChatFolderTest, ErrorsNameTheFile) {
  Write("chat_template.jinja", "{{ messages }}");
  EXPECT_THAT(ChooseChatTemplate("auto", folder_).error().message,
              HasSubstr("chat_template.jinja: the chat template is none"));
  EXPECT_EQ(ChooseChatTemplate("chatml", folder_)->name, "chatml");
  Write("tokenizer_config.json", "{");
  EXPECT_THAT(ReadChatTemplate(folder_).error().message, HasSubstr("tokenizer_config.json"));
}

}  // namespace
}  // namespace aha::sft

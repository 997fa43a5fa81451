// aha chat.

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "pipelines/commands/command.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/stages/run_recipe.h"
#include "rollout/engine.h"
#include "sft/chat_template.h"

namespace aha::pipelines {
namespace {

struct ChatOptions {
  std::string folder, system, prompt_template = "auto";
  std::uint32_t max_new = 512, top_k = 0, threads = 0;
  double temperature = 0.6, top_p = 0.95;
  std::uint64_t seed = 1;
  bool json = false;
};

// One conversation with one model; a reply is a function of the conversation, the seed and the
// turn.
class Chat {
 public:
  Chat(const ChatOptions& options,
       const Model& model,
       const policy::cpu::Cpu& cpu,
       const sft::ChatTemplate& chat_template)
      : options_(options),
        model_(model),
        template_(chat_template),
        engine_(model.weights, cpu, {.stop_ids = model.stop_ids}) {
    Reset();
  }

  void Reset() {
    messages_.clear();
    turn_ = 0;
    if (!options_.system.empty()) messages_.push_back({"system", options_.system});
  }

  // Asks, streams the answer to standard output, keeps both. A failed turn leaves nothing behind.
  Status Say(const std::string& text) {
    messages_.push_back({"user", text});
    Result<std::string> answer = Answer();
    if (!answer) {
      messages_.pop_back();
      return tl::unexpected<Error>(answer.error());
    }
    messages_.push_back({"assistant", template_.opens_answer + *answer});
    ++turn_;
    return {};
  }

 private:
  Result<std::string> Answer() {
    AHA_ASSIGN(const std::string prompt, template_.Render(messages_));
    AHA_ASSIGN(const std::vector<std::int32_t> ids, model_.tokenizer.Encode(prompt));
    const std::int64_t most = model_.weights.config().max_position_embeddings;
    const std::int64_t room = most - static_cast<std::int64_t>(ids.size());
    if (room < 1) {
      return Fail(Code::kInvalidArgument,
                  "the conversation has {} tokens, the model takes {}; /reset starts a new one",
                  ids.size(), most);
    }
    proto::SampleRequest request;
    request.set_seed(options_.seed);
    request.set_stage("chat");
    request.mutable_sampling()->set_temperature(static_cast<float>(options_.temperature));
    request.mutable_sampling()->set_top_p(static_cast<float>(options_.top_p));
    request.mutable_sampling()->set_top_k(options_.top_k);
    request.mutable_sampling()->set_max_new_tokens(
        static_cast<std::uint32_t>(std::min<std::int64_t>(options_.max_new, room)));
    proto::GroupRequest& group = *request.add_groups();
    group.set_visit(turn_);
    group.set_samples(1);
    for (const std::int32_t id : ids)
      group.add_prompt_ids(static_cast<std::uint32_t>(id));
    policy::StreamDecoder decoder(model_.tokenizer);
    std::string answer;
    const auto show = [&](const std::string& part) {
      answer += part;
      if (options_.json) return;
      std::fputs(part.c_str(), stdout);
      std::fflush(stdout);
    };
    const auto on_token = [&](const rollout::TokenEvent& event) {
      if (event.finish == rollout::Finish::kStop) return;  // the stop token is no text
      show(decoder.Push(event.id));
    };
    AHA_ASSIGN(const proto::SampleReply reply, engine_.Run(request, {.on_token = on_token}));
    show(decoder.Finish());
    Print(reply.completions(0), answer);
    return answer;
  }

  void Print(const proto::Completion& completion, const std::string& answer) const {
    if (!options_.json) return PrintLine("");
    PrintJson(
        {{"text", answer},
         {"tokens", std::vector<std::uint32_t>(completion.ids().begin(), completion.ids().end())},
         {"logprobs",
          std::vector<double>(completion.logprobs().begin(), completion.logprobs().end())},
         {"finish", completion.finish() == proto::FINISH_STOP ? "stop" : "length"}});
  }

  const ChatOptions& options_;
  const Model& model_;
  const sft::ChatTemplate& template_;
  rollout::Engine engine_;
  std::vector<sft::ChatMessage> messages_;
  std::uint64_t turn_ = 0;
};

Status RunChat(const ChatOptions& o) {
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  const policy::cpu::Cpu cpu(target, WorkThreads(o.threads));
  AHA_ASSIGN(const sft::ChatTemplate chat_template,
             sft::ChooseChatTemplate(o.prompt_template, o.folder));
  if (!o.system.empty()) {
    const sft::ChatMessage system{"system", o.system};
    AHA_TRY(chat_template.Render(std::span(&system, 1)));  // refused before the model is loaded
  }
  AHA_ASSIGN(const Model model, LoadModel(o.folder, Use::kInference));
  Chat chat(o, model, cpu, chat_template);
  const bool interactive = ::isatty(STDIN_FILENO) != 0;
  if (interactive)
    std::fprintf(stderr, "Template %s. /reset forgets the conversation, /quit leaves.\n",
                 chat_template.name.c_str());
  while (true) {
    if (interactive) std::fputs("> ", stderr);
    std::string line;
    if (!std::getline(std::cin, line) || line == "/quit") return {};
    if (line.empty()) continue;
    if (line == "/reset") {
      chat.Reset();
      continue;
    }
    const Status said = chat.Say(line);
    if (said) continue;
    if (!interactive) return said;
    std::fprintf(stderr, "aha: %s\n", said.error().message.c_str());
  }
}

}  // namespace

void AddChatCommand(CLI::App& app, Action& action) {
  auto o = std::make_shared<ChatOptions>();
  CLI::App* command =
      app.add_subcommand("chat", "Talk with a model: a line in, its answer out; /reset, /quit");
  command->add_option("folder", o->folder, "Model folder")->required();
  command->add_option("--system", o->system, "System message");
  command->add_option("--template", o->prompt_template,
                      "auto (the folder's own, or aha), or a template's name");
  command->add_option("--max-new", o->max_new, "Most new tokens of an answer")
      ->check(CLI::Range(1, 1048576));
  command->add_option("--temperature", o->temperature, "0: greedy")->check(CLI::Range(0.0, 100.0));
  command->add_option("--top-p", o->top_p, "Nucleus of the distribution")
      ->check(CLI::Range(1e-6, 1.0));
  command->add_option("--top-k", o->top_k, "Most candidates; 0: all");
  command->add_option("--seed", o->seed, "Seed of the draws");
  command->add_option("--threads", o->threads, "CPU threads; 0: every core");
  command->add_flag("--json", o->json, "Print a line of JSON for each answer");
  command->callback([&action, o] { action = [o] { return RunChat(*o); }; });
}

}  // namespace aha::pipelines

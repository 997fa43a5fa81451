#pragma once
/// A training stage's recipe as the trainer takes it.

#include "pipelines/stages/stage.h"
#include "sft/trainer.h"

namespace aha::pipelines {

/// @param recipe  a proto::Pretrain or proto::Sft, resolved.
template <class Message>
sft::TrainerOptions TrainerOptionsOf(const Message& recipe) {
  sft::TrainerOptions options;
  options.adamw = AdamWOf(recipe.optimizer());
  options.bias_rate = recipe.moe().bias_update();
  options.balance_loss = recipe.moe().balance_loss();
  options.mtp_loss = recipe.mtp_loss();
  options.micro_batch_tokens = recipe.micro_batch_tokens();
  return options;
}

}  // namespace aha::pipelines

#include "pipelines/tasks/families/pen.h"

namespace aha::pipelines {

void Pen::PlainStep() {
  slips_ = false;
  switch (style_.language) {
    case ThoughtLanguage::kEnglish:
      language_ = Language::kEnglish;
      break;
    case ThoughtLanguage::kChinese:
      language_ = Language::kChinese;
      break;
    case ThoughtLanguage::kMixed:
      language_ = draw_.Chance(0.5) ? Language::kEnglish : Language::kChinese;
      break;
  }
}

void Pen::Step() {
  PlainStep();
  slips_ = draw_.Chance(style_.wrong_step);
  if (slips_) ++slip_count_;
}

void Pen::Append(std::string_view words) {
  if (!text_.empty()) text_ += ' ';
  text_ += words;
}

}  // namespace aha::pipelines

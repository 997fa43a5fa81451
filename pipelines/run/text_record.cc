#include "pipelines/run/text_record.h"

#include <limits>
#include <string>

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

namespace aha::pipelines {
namespace {

namespace pb = google::protobuf;

class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (text_.empty()) text_ = fmt::format("{}:{}: {}", line + 1, column + 1, message);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

Status ParseRecord(std::string_view text,
                   const std::filesystem::path& file,
                   std::string_view advice,
                   pb::Message& record) {
  if (text.size() > std::numeric_limits<int>::max()) {
    return Fail(Code::kCorrupt, "{}: {} bytes are too many; {}", file.string(), text.size(),
                advice);
  }
  FirstError errors;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.SetRecursionLimit(32);
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  if (parser.Parse(&stream, &record)) return {};
  return Fail(Code::kCorrupt, "{}:{}; {}", file.string(), errors.text(), advice);
}

}  // namespace aha::pipelines

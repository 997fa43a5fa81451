/// report_sample FILE [sparse]: writes the made-up report as HTML and prints its text form.

#include <cstdio>
#include <string_view>

#include "base/whole_file.h"
#include "pipelines/report/summary.h"
#include "tests/report/sample_report.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: report_sample FILE [sparse]\n", stderr);
    return 2;
  }
  using namespace aha::pipelines;
  const bool sparse = argc > 2 && std::string_view(argv[2]) == "sparse";
  const Report report = sparse ? SparseReport() : SampleReport();
  if (const auto done = aha::WriteWholeFile(argv[1], RenderReport(report)); !done) {
    std::fprintf(stderr, "%s\n", done.error().message.c_str());
    return 1;
  }
  std::fputs(RenderClaimsText(report.claims, report.stages).c_str(), stdout);
  return 0;
}

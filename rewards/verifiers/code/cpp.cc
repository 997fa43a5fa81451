#include "rewards/verifiers/code/cpp.h"

#include <utility>

#include "rewards/verifiers/code/cpp_call.h"

namespace aha::rewards::code {

sandbox::Run CppCompilation(std::string_view program,
                            const std::string& function,
                            const std::string& standard,
                            const std::string& compiler) {
  sandbox::Run run;
  run.view = sandbox::View::kCompiler;
  run.argv = {compiler,
              "-std=" + standard,
              "-O2",
              "-static",
              "-w",
              "-fmax-errors=5",
              "-fdiagnostics-color=never",
              "-o",
              "program",
              "-x",
              "c++",
              function.empty() ? "program.cpp" : "call.cpp"};
  run.env = {"PATH=/tools/bin:/usr/bin", "GCC_EXEC_PREFIX=/usr/lib/gcc/", "LANG=C", "TMPDIR=."};
  run.files = {{"program.cpp", std::string(program)}};
  if (!function.empty()) {
    std::string text(kCppCall);
    // The program's macros come behind all that is ours, but for the last line.
    text += "\n#define main aha_program_main\n#include \"program.cpp\"\n#undef main\n";
    text += "signed main() { return aha_call::Run(&" + function + "); }\n";
    run.files.emplace_back("call.cpp", std::move(text));
  }
  run.keep = "program";
  return run;
}

sandbox::Run CppProgram(std::string_view input) {
  sandbox::Run run;
  run.view = sandbox::View::kNothing;
  run.argv = {std::string(sandbox::kKeptProgram)};
  run.env = {"HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"};
  run.input = input;
  return run;
}

sandbox::Run CppCall(std::string_view arguments) {
  sandbox::Run run = CppProgram(arguments);
  run.result_channel = true;
  return run;
}

}  // namespace aha::rewards::code

#include "rewards/verifiers/code/python.h"

#include <utility>

#include "rewards/sandbox/layout.h"

namespace aha::rewards::code {
namespace {

// Both scripts run program.py by exec, whose source is compiled without the types of Python's ast
// module: compile() makes all of them first, an eighth of an interpreter's start. A profile
// function sees the first frame of the program, which tells a program that does not compile ("C" on
// descriptor 3) from one that fails, and gives its code the name of its file.

// Runs program.py as __main__ with nothing of this text left in its names. Descriptor 3 is closed
// before the program starts.
constexpr std::string_view kScript = R"(
def _run():
    import _imp, builtins, posix, sys
    with open("program.py", "rb") as file:
        source = file.read()
    def start(frame, event, argument):
        if event == "call" and frame.f_code.co_filename == "<string>":
            sys.setprofile(None)
            posix.close(3)
            _imp._fix_co_filename(frame.f_code, "program.py")
    names = globals()
    names.update(__file__="program.py")
    del names["_run"]
    builtins.exit = builtins.quit = sys.exit
    sys.argv[:] = ["program.py"]
    sys.setprofile(start)
    try:
        exec(source, names)
    except BaseException:
        if sys.getprofile() is start:
            sys.setprofile(None)
            posix.write(3, b"C")
        raise
_run()
)";

// Runs program.py as a module, calls its function, and sends what it returned as marshal bytes:
// exact built-in types or none. Whatever a program does to this process, it can only choose what
// is sent; it is compared elsewhere.
constexpr std::string_view kCall = R"(
def _run():
    import _imp, builtins, marshal, posix, sys
    write, leave, dumps = posix.write, posix._exit, marshal.dumps
    def send(data):
        while data:
            data = data[write(3, data):]
    with open("call", "rb") as file:
        name, arguments = marshal.loads(file.read())
    with open("program.py", "rb") as file:
        source = file.read()
    def start(frame, event, argument):
        if event == "call" and frame.f_code.co_filename == "<string>":
            sys.setprofile(None)
            _imp._fix_co_filename(frame.f_code, "program.py")
    builtins.exit = builtins.quit = sys.exit
    sys.argv[:] = ["program.py"]
    module = type(sys)("program")
    module.__file__ = "program.py"
    sys.modules["program"] = module
    sys.setprofile(start)
    try:
        exec(source, module.__dict__)
    except BaseException:
        if sys.getprofile() is start:
            sys.setprofile(None)
            send(b"C")
        raise
    if name not in module.__dict__:
        send(b"M")
        raise NameError("the program defines no function " + name)
    returned = module.__dict__[name](*arguments)
    try:
        data = dumps(returned, 2)
    except ValueError:
        send(b"O")
    else:
        send(b"R" + data)
    leave(0)
_run()
)";

sandbox::Run Start(std::string_view runner, std::string_view program) {
  sandbox::Run run;
  run.view = sandbox::View::kInterpreter;
  // -S: no site packages; -s: no user's; -B: no cache written.
  run.argv = {sandbox::kPythonPath, "-s", "-S", "-B", "run.py"};
  // A fixed hash seed, so that a set has the same order in every run.
  run.env = {"PATH=/usr/bin", "HOME=/tmp",        "TMPDIR=/tmp",     "LANG=C.UTF-8",
             "PYTHONUTF8=1",  "PYTHONHASHSEED=0", "PYTHONSAFEPATH=1"};
  run.files = {{"run.py", std::string(runner)}, {"program.py", std::string(program)}};
  run.result_channel = true;
  return run;
}

Value Text(std::string_view text) {
  Value value;
  value.kind = Value::Kind::kText;
  value.text = text;
  return value;
}

}  // namespace

sandbox::Run PythonScript(std::string_view program, std::string_view input) {
  sandbox::Run run = Start(kScript, program);
  run.input = input;
  return run;
}

sandbox::Run PythonCall(std::string_view program,
                        const std::string& function,
                        const Value& arguments) {
  sandbox::Run run = Start(kCall, program);
  Value call;
  call.kind = Value::Kind::kTuple;
  call.items = {Text(function), arguments};
  run.files.emplace_back("call", ToMarshal(call));
  return run;
}

}  // namespace aha::rewards::code

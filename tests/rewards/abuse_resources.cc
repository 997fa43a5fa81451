#include "tests/rewards/abuse_programs.h"

namespace aha::rewards {

std::vector<AbuseProgram> ResourceAbuse() {
  return {
      {"ForkBomb", "forks until refused", "python", "RE TLE", "import os\nwhile True: os.fork()\n"},
      {"StubbornForkBomb", "forks for ever", "python", "TLE",
       "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"},
      {"ThreadBomb", "threads until refused", "python", "RE TLE MLE",
       "import threading, time\nwhile True: threading.Thread(target=time.sleep, "
       "args=(99,)).start()\n"},
      {"CppThreadBomb", "threads until refused", "cpp", "RE TLE MLE",
       "#include <thread>\n#include <vector>\nint main(){std::vector<std::thread> "
       "t;for(;;)t.emplace_back([]{for(;;);});}\n"},
      {"HugeAllocation", "10 GB at once", "python", "MLE", "x = bytearray(10**10)\n"},
      {"GrowingMemory", "memory little by little", "python", "MLE",
       "x = []\nwhile True: x.append(bytearray(1 << 20))\n"},
      {"MemoryOfMany", "memory spread over processes", "python", "MLE",
       "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        x = b'x' * (60 << "
       "20)\n        time.sleep(9)\ntime.sleep(9)\n"},
      {"SharedMemory", "shared anonymous memory", "python", "MLE",
       "import mmap\nm = mmap.mmap(-1, 512 << 20)\nfor i in range(0, 512 << 20, 4096): m[i] = 1\n"},
      {"CppMemory", "memory in C++", "cpp", "MLE",
       "#include <cstdlib>\n#include <cstring>\nint "
       "main(){for(;;){void*p=malloc(1<<20);if(p)memset(p,1,1<<20);}}\n"},
      {"CppBadAlloc", "new beyond the limit", "cpp", "MLE",
       "#include <vector>\nint main(){std::vector<char> v(1ULL<<38,1);return v[5];}\n"},
      {"OutputFlood", "standard output without end", "python", "OLE",
       "while True: print('x' * 1000)\n"},
      {"ErrorFlood", "standard error without end", "python", "OLE",
       "import sys\nwhile True: sys.stderr.write('x' * 1000)\n"},
      {"CppOutputFlood", "output by write(2)", "cpp", "OLE",
       "#include <unistd.h>\nchar b[65536];int main(){for(;;)write(1,b,sizeof b);}\n"},
      {"PipeOfMany", "output of many processes", "python", "OLE",
       "import os\nfor _ in range(4): os.fork()\nwhile True: os.write(1, b'x' * 65536)\n"},
      {"SparseFile", "a file of a terabyte", "python", "RE OLE",
       "f = open('/tmp/x', 'wb')\nf.truncate(1 << 40)\nprint('made')\n"},
      {"DiskFill", "all of /tmp", "python", "RE OLE",
       "i = 0\nwhile True:\n    open('/tmp/%d' % i, 'wb').write(b'x' * (1 << 20))\n    i += 1\n"},
      {"FillDevShm", "all of /dev/shm", "python", "RE OLE",
       "i = 0\nwhile True:\n    open('/dev/shm/%d' % i, 'wb').write(b'x' * (1 << 20))\n    i += "
       "1\n"},
      {"ManyFiles", "every inode", "python", "RE TLE",
       "i = 0\nwhile True:\n    open('/tmp/%d' % i, 'wb')\n    i += 1\n"},
      {"ManyDescriptors", "every descriptor", "python", "RE",
       "k = []\nwhile True: k.append(open('/dev/null'))\n"},
      {"MemoryFile", "memory that no process maps", "python", "AC",
       "import os\ntry: os.memfd_create('x'); print('made')\nexcept OSError: print('denied')\n",
       "denied"},
      {"Sleep", "sleeps", "python", "TLE", "import time\ntime.sleep(60)\n"},
      {"BusyLoop", "loops", "python", "TLE", "while True: pass\n"},
      {"BusyProcesses", "loops in eight processes", "python", "TLE",
       "import os\nfor _ in range(3): os.fork()\nwhile True: pass\n"},
      {"HiddenProcessorTime", "leaves the work to children", "python", "TLE",
       "import os\nwhile True:\n    if os.fork() == 0:\n        for _ in range(10**6): pass\n      "
       "  os._exit(0)\n    os.wait()\n"},
      {"SignalsIgnored", "ignores every signal", "python", "TLE",
       "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    "
       "except (OSError, ValueError): pass\nwhile True: pass\n"},
      {"StopsItself", "stops itself", "python", "TLE",
       "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n"},
      {"Daemon", "leaves a daemon behind", "python", "AC",
       "import os, time, sys\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        "
       "for i in (0, 1, 2): os.close(i)\n        time.sleep(99)\n    "
       "os._exit(0)\nprint('parent')\n",
       "parent"},
      {"DaemonHoldsOutput", "a daemon that keeps the output open", "python", "AC",
       "import os, time, sys\nif os.fork() == 0:\n    os.setsid()\n    "
       "time.sleep(99)\nprint('parent')\n",
       "parent"},
      {"ThreadOutlives", "a thread that never ends", "python", "TLE",
       "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()\n"},
      {"Zombies", "children that nobody waits for", "python", "AC",
       "import os\nfor _ in range(10):\n    if os.fork() == 0: os._exit(0)\nprint('done')\n",
       "done"},
      {"DeepRecursion", "recursion in Python", "python", "RE",
       "def f(n): return f(n + 1) + 1\nprint(f(0))\n"},
      {"UnboundedRecursion", "recursion with the guard removed", "python", "RE MLE TLE",
       "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return [f(n + 1)]\nprint(f(0))\n"},
      {"StackOverflow", "recursion in C++", "cpp", "RE",
       "#include <cstdio>\nint f(volatile int*p){volatile int a[1000];a[0]=*p+1;return "
       "f(a)+a[0];}\nint main(){int x=0;printf(\"%d\",f(&x));}\n"},
      {"HugeInteger", "prints ten million digits", "python", "TLE RE OLE",
       "import sys\nsys.set_int_max_str_digits(0)\nprint(10 ** 10000000 + 1)\n"},
      {"PowerTower", "a power tower", "python", "TLE MLE RE", "print(9 ** 9 ** 9 ** 9)\n"},
      {"RegexBomb", "catastrophic backtracking", "python", "TLE",
       "import re\nprint(re.match(r'(a+)+$', 'a' * 60 + 'b'))\n"},
      {"BigInputUnread", "reads nothing of its input", "python", "AC", "print('ok')\n", "ok"},
      {"ReadsPastTheEnd", "reads past the end of its input", "python", "AC",
       "import sys\nsys.stdin.read()\nprint(repr(sys.stdin.read()), repr(sys.stdin.readline()))\n",
       "'' ''"},
      {"InputAtTheEnd", "input() with nothing left", "python", "RE", "while True: input()\n"},
      {"CoreDump", "dumps core", "python", "RE", "import os\nos.abort()\n"},
      {"RaisesLimits", "raises its limits", "python", "AC",
       "import resource\nn = 0\nfor k in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, "
       "resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):\n"
       "    try: resource.setrlimit(k, (resource.RLIM_INFINITY,) * 2)\n    except (ValueError, "
       "OSError): n += 1\nprint(n)\n",
       "4"},
  };
}

}  // namespace aha::rewards

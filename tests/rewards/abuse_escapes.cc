#include "tests/rewards/abuse_programs.h"

namespace aha::rewards {
namespace {

// Prints "denied" when the raw system call fails, by number and arguments.
#define AHA_SYSCALL(arguments)                                                           \
  "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nr = libc.syscall(" arguments \
  ")\nprint('denied' if r < 0 else r)\n"

}  // namespace

std::vector<AbuseProgram> EscapeAbuse() {
  return {
      // Files and environment of the machine.
      {"ReadPasswd", "reads /etc/passwd", "python", "RE", "print(open('/etc/passwd').read())\n"},
      {"ReadSecretFile", "reads a file of the machine", "python", "RE",
       "print(open('@FILE@').read())\n"},
      {"SymlinkToSecret", "the same by a symbolic link", "python", "RE",
       "import os\nos.symlink('@FILE@', '/tmp/l')\nprint(open('/tmp/l').read())\n"},
      {"WalksTheDisk", "looks through every file", "python", "WA TLE",
       "import os\nfor d, _, fs in os.walk('/'):\n    if d.startswith(('/usr', '/proc')): "
       "continue\n    for f in fs:\n        try:\n            t = open(d + '/' + f, "
       "errors='replace').read(100000)\n            if 'secret-' in t and f != 'program.py': "
       "print(t)\n        except OSError: pass\n"},
      {"OwnEnvironment", "its own environment", "python", "WA",
       "import os\nprint(os.environ.get('AHA_SECRET'))\n"},
      {"EnvironmentOfOthers", "the environments of all processes", "python", "WA RE",
       "import glob\nfor f in glob.glob('/proc/[0-9]*/environ'):\n    try: t = open(f).read()\n    "
       "except OSError: continue\n    for v in t.split('\\0'):\n        if "
       "v.startswith('AHA_SECRET='): print(v[11:])\n"},
      {"CommandLines", "the command lines of all processes", "python", "AC",
       "import os\nprint(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))\n", "[1, 2]"},
      {"ParentMemory", "memory of the first process", "python", "RE",
       "print(open('/proc/1/mem', 'rb').read(1))\n"},
      {"ParentDescriptors", "descriptors of the first process", "python", "RE WA",
       "import os\nfor f in os.listdir('/proc/1/fd'): print(open('/proc/1/fd/' + f).read())\n"},
      {"InheritedDescriptors", "descriptors that were left open", "python", "AC",
       "import os\nfound = []\nfor i in range(64):\n    try: os.fstat(i); found.append(i)\n    "
       "except OSError: pass\nprint(found)\n",
       "[0, 1, 2]"},
      {"KernelSettings", "kernel settings", "python", "RE",
       "print(open('/proc/sys/kernel/hostname').read())\n"},
      {"WritesRoot", "writes to the root", "python", "RE", "open('/x', 'w')\n"},
      {"WritesLibrary", "changes Python's library", "python", "RE",
       "open('/usr/lib/python3.11/os.py', 'a')\n"},
      {"OverwritesKeeper", "overwrites what runs it", "python", "RE", "open('/keeper', 'r+b')\n"},
      // Network.
      {"Tcp", "connects to the machine", "python", "RE",
       "import socket\ns = socket.create_connection(('127.0.0.1', @PORT@), "
       "0.5)\nprint(s.recv(100).decode())\n"},
      {"Udp", "sends a datagram", "python", "RE",
       "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', "
       "('127.0.0.1', @PORT@))\n"},
      {"Dns", "asks for a name", "python", "RE",
       "import socket\nprint(socket.gethostbyname('example.com'))\n"},
      {"AbstractSocket", "an abstract UNIX socket", "python", "RE",
       "import socket\ns = "
       "socket.socket(socket.AF_UNIX)\ns.connect('\\0aha-abuse-@PORT@')\nprint(s.recv(100).decode()"
       ")\n"},
      {"RawSocket", "a raw socket", "python", "RE",
       "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"},
      {"Netlink", "netlink", "python", "RE",
       "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\n"},
      // The kernel.
      {"Ptrace", "traces the first process", "python", "AC", AHA_SYSCALL("101, 16, 1, 0, 0"),
       "denied"},
      {"ReadsMemoryOfOthers", "process_vm_readv", "python", "AC",
       AHA_SYSCALL("310, 1, 0, 0, 0, 0, 0"), "denied"},
      {"Mount", "mounts", "python", "AC", AHA_SYSCALL("165, b'none', b'/tmp', b'tmpfs', 0, 0"),
       "denied"},
      {"Unmount", "unmounts", "python", "AC", AHA_SYSCALL("166, b'/proc', 2"), "denied"},
      {"Chroot", "changes its root", "python", "AC", AHA_SYSCALL("161, b'/tmp'"), "denied"},
      {"PivotRoot", "pivots its root", "python", "AC", AHA_SYSCALL("155, b'/tmp', b'/tmp'"),
       "denied"},
      {"UserNamespace", "a user namespace", "python", "AC", AHA_SYSCALL("272, 0x10000000"),
       "denied"},
      {"CloneNamespace", "a namespace by clone", "python", "AC",
       AHA_SYSCALL("56, 0x10000011, 0, 0, 0, 0"), "denied"},
      {"Clone3", "a namespace by clone3", "python", "AC",
       AHA_SYSCALL("435, b'\\0\\0\\0\\x10' + b'\\0' * 84, 88"), "denied"},
      {"Setns", "enters a namespace", "python", "AC", AHA_SYSCALL("308, 0, 0"), "denied"},
      {"BecomesRoot", "becomes root", "python", "AC",
       "import os\ntry: os.setuid(0); print('root')\nexcept OSError: print('denied')\n", "denied"},
      {"Keyring", "the kernel's keys", "python", "AC", AHA_SYSCALL("250, 0, -3, 1"), "denied"},
      {"Bpf", "bpf", "python", "AC", AHA_SYSCALL("321, 0, 0, 0"), "denied"},
      {"IoUring", "io_uring", "python", "AC", AHA_SYSCALL("425, 8, b'\\0' * 120"), "denied"},
      {"Userfaultfd", "userfaultfd", "python", "AC", AHA_SYSCALL("323, 1"), "denied"},
      {"Perf", "perf events", "python", "AC", AHA_SYSCALL("298, b'\\0' * 120, 0, -1, -1, 0"),
       "denied"},
      {"SystemV", "memory that outlives it", "python", "AC", AHA_SYSCALL("29, 0, 4096, 0o1600"),
       "denied"},
      {"UnknownCall", "a system call of the future", "python", "AC", AHA_SYSCALL("999"), "denied"},
      {"KillsAll", "kills every process", "python", "AC",
       "import os\ntry: os.kill(-1, 9)\nexcept OSError: pass\nprint('alive')\n", "alive"},
      {"KillsFirst", "kills the first process", "python", "AC",
       "import os\nos.kill(1, 9)\nos.kill(os.getppid(), 9)\nprint('alive')\n", "alive"},
      {"Shell", "starts a shell", "python", "RE",
       "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo hello'])\n"},
      {"Preload", "a library of its own by LD_PRELOAD", "python", "AC",
       "import os, sys\nopen('/tmp/x.so', 'wb').write(b'\\x7fELF')\nos.chmod('/tmp/x.so', "
       "0o700)\nif 'LD_PRELOAD' not in os.environ:\n    os.execve('/usr/bin/python3', ['python3', "
       "'-S', '-c', 'print(1)'], {'LD_PRELOAD': '/tmp/x.so'})\n",
       "1"},
      {"ForeignAbi", "32-bit system calls", "cpp", "RE",
       "#include <cstdio>\nint main(){long r;asm volatile(\"int "
       "$0x80\":\"=a\"(r):\"a\"(20L));printf(\"%ld\",r);}\n"},
      {"RawSyscalls", "system calls by hand", "cpp", "AC",
       "#include <cstdio>\nlong c(long n,long a,long b,long d){long r;asm "
       "volatile(\"syscall\":\"=a\"(r):\"a\"(n),\"D\"(a),\"S\"(b),\"d\"(d):\"rcx\",\"r11\","
       "\"memory\");return r;}\n"
       "int main(){int "
       "n=0;n+=c(41,2,1,0)<0;n+=c(272,0x10000000,0,0)<0;n+=c(101,0,0,0)<0;n+=c(161,(long)\"/"
       "\",0,0)<0;printf(\"%d\",n);}\n",
       "4"},
      {"NoFilesForCpp", "any file at all, from C++", "cpp", "AC",
       "#include <cstdio>\n#include <initializer_list>\nint main() {\n  int n = 0;\n"
       "  for (auto p : {\"/usr/bin/python3\", \"/usr/lib/os-release\", \"/tools/bin/g++\","
       " \"/lib/x86_64-linux-gnu/libc.so.6\", \"/etc/passwd\"}) {\n"
       "    FILE* f = fopen(p, \"r\");\n    n += f && fgetc(f) != EOF;\n  }\n  printf(\"%d\", "
       "n);\n}\n",
       "0"},
      {"RewritesItself", "changes the program that the next test runs", "cpp", "AC",
       "#include <cstdio>\n#include <fcntl.h>\n#include <unistd.h>\nint main(){int "
       "f=open(\"/proc/self/exe\",O_RDWR);printf(\"%d\",f<0?1:0);}\n",
       "1"},
      // Fakes.
      {"ExitsAtOnce", "sys.exit(0)", "python", "WA", "import sys\nsys.exit(0)\n"},
      {"LeavesAtOnce", "os._exit(0)", "python", "WA", "import os\nos._exit(0)\n"},
      {"SaysPassed", "prints that it passed", "python", "WA",
       "print('AC\\nOK\\npassed\\nAll tests passed')\n"},
      {"PatchesBuiltins", "patches print, input and open", "python", "WA",
       "import builtins\nbuiltins.print = lambda *a, **k: None\nbuiltins.input = lambda *a: "
       "''\nbuiltins.open = None\nprint('x')\n"},
      {"ClosesOutput", "closes its output", "python", "WA RE",
       "import os\nos.close(1)\nprint('x')\n"},
      {"RightButFails", "right output, exit code 3", "python", "RE",
       "import sys\nprint('right')\nsys.exit(3)\n", "right"},
      {"ForgesChannel", "writes to the result channel", "python", "WA RE",
       "import os\nos.write(3, b'R' + b'T')\n"},
      {"EqualsEverything", "returns an object that equals everything", "call", "WA",
       "class E:\n    def __eq__(self, o): return True\n    def __hash__(self): return 1\ndef f(): "
       "return E()\n"},
      {"EqualInteger", "an integer class that equals everything", "call", "WA",
       "class E(int):\n    def __eq__(self, o): return True\ndef f(): return E(1)\n"},
      {"EqualTuple", "a tuple class", "call", "WA",
       "class E(tuple):\n    def __eq__(self, o): return True\ndef f(): return E((42,))\n"},
      {"CallExits", "leaves before it returns", "call", "RE", "import os\ndef f(): os._exit(0)\n"},
      {"CallExitsOnImport", "leaves before the call", "call", "RE", "import sys\nsys.exit(0)\n"},
      {"CallForges", "sends a value of its own", "call", "WA RE",
       "import os\ndef f():\n    os.write(3, b'Ri\\x01\\0\\0\\0')\n    return 42\n"},
      {"CallPatchesMarshal", "patches what sends", "call", "WA",
       "import marshal, posix\nmarshal.dumps = lambda *a: b'T'\nposix.write = lambda fd, d: "
       "len(d)\ndef f(): return 1\n"},
      {"CallSearchesFrames", "looks for the right value in its process", "call", "WA",
       "import gc, sys\ndef f():\n    for o in gc.get_objects():\n        if isinstance(o, dict) "
       "and o.get('returns'): return o['returns']\n    g = sys._getframe()\n    while g:\n        "
       "if 'expected' in g.f_locals: return g.f_locals['expected']\n        g = g.f_back\n    "
       "return len(open('call', 'rb').read())\n"},
      {"CallRight", "nothing: the right value", "call", "AC", "def f(): return 42\n"},
      {"CallNotDefined", "no such function", "call", "RE", "def g(): return 42\n"},
      {"NotPython", "no program", "python", "CE", "def f(:\n"},
      {"NulByte", "a NUL byte in the program", "python", "CE", std::string_view("print(1)\0", 9)},
      {"DeepSource", "a program nested too deep to parse", "python", "CE",
       "x = "
       "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
       "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
       "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((\n"},
      // Compilers.
      {"IncludesZeros", "#include </dev/zero>", "cpp", "CE",
       "#include \"/dev/zero\"\nint main(){}\n"},
      {"IncludesSecret", "#include of a file of the machine", "cpp", "CE",
       "#include \"@FILE@\"\nint main(){}\n"},
      {"IncludesItself", "#include of itself", "cpp", "CE",
       "#include __FILE__\n#include __FILE__\nint main(){}\n"},
      {"AssemblesSecret", ".incbin of a file of the machine", "cpp", "CE",
       "asm(\".incbin \\\"@FILE@\\\"\");int main(){}\n"},
      {"TemplateBomb", "templates without end", "cpp", "CE",
       "template<int N,int M>struct A{static const int v=A<N-1,M>::v+A<N-1,M+1>::v;};template<int "
       "M>struct A<0,M>{static const int v=1;};int main(){return A<800,0>::v;}\n"},
      {"ConstexprBomb", "a loop for the compiler", "cpp", "CE TLE",
       "constexpr long f(long n){long s=0;for(long i=0;i<n;++i)for(long j=0;j<n;++j)s+=j;return "
       "s;}\nconstexpr long x=f(1000000);int main(){return x;}\n"},
      {"GiantArray", "a program of a terabyte", "cpp", "CE",
       "char a[1ULL<<38]={1};int main(){return a[5];}\n"},
      {"MacroBomb", "macros that double", "cpp", "CE",
       "#define A x,x,x,x,x,x,x,x,x,x\n#define B A,A,A,A,A,A,A,A,A,A\n#define C "
       "B,B,B,B,B,B,B,B,B,B\n#define D C,C,C,C,C,C,C,C,C,C\n#define E D,D,D,D,D,D,D,D,D,D\n#define "
       "F E,E,E,E,E,E,E,E,E,E\n#define G F,F,F,F,F,F,F,F,F,F\n#define H "
       "G,G,G,G,G,G,G,G,G,G\n#define x 1\nint a[]={H};int main(){}\n"},
  };
}

}  // namespace aha::rewards

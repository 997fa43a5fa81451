// The keeper: the small static program that the library starts once for each slot.
//
//   launch UID GID GROUP PROGRAM ARGS...   enters the control group (GROUP is "group" or "-"),
//   gives up
//                    root for UID, starts PROGRAM (bubblewrap) and reaps
//   keep                             inside: serves runs on descriptor 3, contained
//   keep-unsafe FOLDER               the same without namespaces, files in FOLDER

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "rewards/sandbox/keeper/init.h"
#include "rewards/sandbox/keeper/supervise.h"
#include "rewards/sandbox/protocol.h"

namespace aha::keeper {
namespace {

using namespace rewards::sandbox;

int Complain(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
  return 1;
}

bool BecomeUser(uid_t uid, gid_t gid) {
  if (geteuid() != 0 || uid == 0) return true;
  return setgroups(0, nullptr) == 0 && setresgid(gid, gid, gid) == 0 &&
         setresuid(uid, uid, uid) == 0;
}

// Stays to reap: what a killed sandbox leaves would else be a zombie until the caller ends.
int ReapAll(pid_t main_child) {
  int code = 1;
  while (true) {
    int wait_status = 0;
    const pid_t ended = waitpid(-1, &wait_status, 0);
    if (ended < 0 && errno == EINTR) continue;
    if (ended < 0) return code;
    if (ended == main_child) code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 1;
  }
}

int Launch(int argc, char** argv) {
  if (argc < 6) return 2;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "aha-launcher");
  // Before the user changes, so that all that comes is in the group.
  if (std::strcmp(argv[4], "group") == 0 && write(kGroupFd, "0", 1) != 1)
    return Complain("entering the control group");
  syscall(SYS_close_range, kImageFd + 1U, ~0U, 0U);
  umask(077);
  if (chdir("/") != 0) return Complain("chdir /");
  if (!BecomeUser(static_cast<uid_t>(std::strtoul(argv[2], nullptr, 10)),
                  static_cast<gid_t>(std::strtoul(argv[3], nullptr, 10))))
    return Complain("changing to the slot's user");
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const pid_t child = fork();
  if (child < 0) return Complain("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execve(argv[5], argv + 5, environ);
    _exit(Complain(argv[5]));
  }
  close(kControlFd);
  close(kImageFd);
  return ReapAll(child);
}

// Receives a whole message; false when the library has gone.
bool Receive(std::string* message) {
  std::uint64_t size = 0;
  if (!ReadAll(kControlFd, reinterpret_cast<char*>(&size), sizeof(size))) return false;
  message->resize(size);
  return ReadAll(kControlFd, message->data(), size);
}

bool Answer(const std::string& message) {
  const std::uint64_t size = message.size();
  return WriteAll(kControlFd, {reinterpret_cast<const char*>(&size), sizeof(size)}) &&
         WriteAll(kControlFd, message);
}

int Keep(Setup setup) {
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NAME, "aha-keeper");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  syscall(SYS_close_range, kControlFd + 1U, ~0U, 0U);
  Writer hello;
  hello.Text(kHello);
  if (!Answer(hello.bytes()) || !Receive(&setup.filter)) return 1;
  Fd kept;
  for (std::string message; Receive(&message);) {
    Run run;
    RunResult result;
    if (!Decode(message, &run)) return 1;
    const std::string failure = Supervise(setup, run, kControlFd, &kept, &result);
    if (!Answer(failure.empty() ? Encode(result) : EncodeFailure(failure))) return 1;
    std::string().swap(message);
  }
  return 0;
}

}  // namespace
}  // namespace aha::keeper

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "launch") return aha::keeper::Launch(argc, argv);
  if (mode == "keep") return aha::keeper::Keep({true, "/tmp", {}});
  if (mode == "keep-unsafe" && argc > 2) return aha::keeper::Keep({false, argv[2], {}});
  std::fprintf(stderr, "started by Aha's code reward, not by hand\n");
  return 2;
}

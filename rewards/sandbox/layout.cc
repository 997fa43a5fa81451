#include "rewards/sandbox/layout.h"

#include <unistd.h>

#include <filesystem>
#include <initializer_list>

namespace aha::rewards::sandbox {
namespace {

namespace fs = std::filesystem;

std::string FirstExecutable(std::initializer_list<const char*> paths) {
  for (const char* path : paths) {
    if (access(path, X_OK) == 0) return path;
  }
  return {};
}

// /lib, /lib64, ...: links where /usr is merged, folders elsewhere.
void AddLibraryRoot(const std::string& path, std::vector<std::string>* command) {
  std::error_code error;
  const auto status = fs::symlink_status(path, error);
  if (error) return;
  if (fs::is_symlink(status)) {
    command->insert(command->end(), {"--symlink", fs::read_symlink(path, error).string(), path});
  } else if (fs::is_directory(status)) {
    command->insert(command->end(), {"--ro-bind", path, path});
  }
}

}  // namespace

Layout DetectLayout() {
  Layout layout;
  layout.bubblewrap = FirstExecutable({"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"});
  layout.python = access(kPythonPath, X_OK) == 0;
  layout.compiler = access(kHostCompiler, X_OK) == 0;
  return layout;
}

std::vector<std::string> BubblewrapCommand(const Layout& layout, int image_fd) {
  std::vector<std::string> c = {
      layout.bubblewrap, "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc",
      "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox", "--uid", "1000", "--gid",
      "1000", "--die-with-parent", "--as-pid-1", "--new-session",
      // For the keeper: each run's own mounts. Programs have none.
      "--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"};
  for (const char* folder : {"/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/include"}) {
    if (fs::is_directory(folder)) c.insert(c.end(), {"--ro-bind", folder, folder});
  }
  for (const char* folder : {"/lib", "/lib32", "/lib64"})
    AddLibraryRoot(folder, &c);
  if (layout.python)
    c.insert(c.end(), {"--ro-bind", fs::canonical(kPythonPath).string(), kPythonPath});
  if (layout.compiler) c.insert(c.end(), {"--ro-bind", "/usr/bin", "/tools/bin"});
  c.insert(c.end(), {"--proc",
                     "/proc",
                     "--dir",
                     "/tmp",
                     "--dev-bind",
                     "/dev/null",
                     "/dev/null",
                     "--dev-bind",
                     "/dev/zero",
                     "/dev/zero",
                     "--dev-bind",
                     "/dev/urandom",
                     "/dev/urandom",
                     "--dev-bind",
                     "/dev/urandom",
                     "/dev/random",
                     "--symlink",
                     "/tmp",
                     "/dev/shm",
                     "--symlink",
                     "/proc/self/fd",
                     "/dev/fd",
                     "--symlink",
                     "/proc/self/fd/0",
                     "/dev/stdin",
                     "--symlink",
                     "/proc/self/fd/1",
                     "/dev/stdout",
                     "--symlink",
                     "/proc/self/fd/2",
                     "/dev/stderr",
                     "--perms",
                     "0555",
                     "--ro-bind-data",
                     std::to_string(image_fd),
                     "/keeper",
                     "--remount-ro",
                     "/",
                     "--chdir",
                     "/",
                     "--",
                     "/keeper",
                     "keep"});
  return c;
}

}  // namespace aha::rewards::sandbox

# shellcheck shell=bash
# Sourced by ./aha and tools/check, with $root set: makes the system ready and builds. All output to standard error.
# Prepare TARGET is the entry; each step is quick when it has nothing to do.

source "$root/tools/libtorch.sh"

Say() { printf 'aha: %s\n' "$*" >&2; }
Die() {
  Say "$*"
  exit 1
}

# Prepare TARGET: everything that TARGET of the release build needs, and TARGET itself.
Prepare() {
  CheckSystem
  # The system's own tools come first: an active conda or pyenv would slip in its cmake, Python and libraries.
  local callers_path=$PATH
  PATH=/usr/bin:/bin:$PATH:/usr/sbin:/sbin # dpkg wants the last two
  EnsurePackages
  EnsureLibTorch
  WithLock "$root/build/release/.aha.lock" Build "$1"
  PATH=$callers_path
}

CheckSystem() {
  [[ "$(uname -s) $(uname -m)" == "Linux x86_64" ]] ||
    Die "unsupported system: Aha needs Linux on x86-64, this is $(uname -s) on $(uname -m)."
  local libc
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc="none"
  glibc=${libc#glibc }
  [[ $libc == glibc* ]] && AtLeast "$glibc" 2.28 ||
    Die "unsupported system: LibTorch needs glibc 2.28 or later, this system has ${libc}."
}

# AtLeast HAVE WANT: compares version numbers.
AtLeast() { printf '%s\n' "$2" "$1" | sort -V -C; }

# WithLock FILE COMMAND...: one process at a time; the lock goes with the process, however that ends.
WithLock() {
  local file=$1
  shift
  mkdir -p -- "$(dirname -- "$file")" 2>/dev/null && touch -- "$file" 2>/dev/null ||
    Die "cannot write to $(dirname -- "$file"). Give yourself the right to (AHA_CACHE=DIR moves the cache)."
  (
    exec 9>"$file"
    if ! flock -n 9; then
      Say "another ./aha is at work here (lock: $file); waiting up to 30 minutes for it."
      flock -w 1800 9 || Die "the other ./aha still holds $file after 30 minutes. End it, then try again."
    fi
    "$@" 9>&- # a compiler's helper that lives on must not keep the lock
  )
}

# Cache: the folder for what is fetched.
Cache() {
  local base=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
  local cache=${AHA_CACHE:-${base:+$base/aha}}
  [[ -n $cache ]] || Die "neither HOME nor AHA_CACHE is set. Set AHA_CACHE=DIR, a folder with 2 GB free."
  mkdir -p -- "$cache" 2>/dev/null && [[ -w $cache ]] ||
    Die "cannot write to $cache. Set AHA_CACHE=DIR, a folder with 2 GB free."
  (cd -- "$cache" && pwd)
}

PackageNames() { sed -E '/^(#|$)/d; s/ .*//' "$root/tools/packages.txt"; }

PrintNeeds() {
  {
    printf '\nWhat Aha needs, by the names of Debian 12 (bookworm):\n'
    sed '/^#/d; s/^/  /' "$root/tools/packages.txt"
    printf '  %-20s %s\n\n' "LibTorch 2.15" "fetched from PyPI, or yours: AHA_LIBTORCH=DIR (include/, lib/)"
  } >&2
}

EnsurePackages() {
  if [[ ${AHA_SKIP_PACKAGES-} != 1 ]]; then
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
      PrintNeeds
      Die "not a Debian system: install the above yourself, then set AHA_SKIP_PACKAGES=1 and start again."
    fi
    if ! AtLeast "$glibc" 2.36; then # Debian 12's; an older glibc means older packages
      PrintNeeds
      Die "this system is older than Debian 12, so are its packages. Use Debian 12 or later, or install the above" \
        "yourself, then set AHA_SKIP_PACKAGES=1 and start again."
    fi
    local missing
    mapfile -t missing < <(MissingPackages)
    if ((${#missing[@]})); then InstallPackages "${missing[@]}"; fi
  fi
  CheckTool cmake 3.25 "$(cmake --version 2>/dev/null | sed -nE '1s/.* ([0-9.]+).*/\1/p')"
  CheckTool "${CXX:-g++}" 12 "$("${CXX:-g++}" -dumpfullversion -dumpversion 2>/dev/null)"
}

CheckTool() {
  [[ -n $3 ]] || Die "$1 was not found. Install it: Aha needs $1 $2 or later."
  AtLeast "$3" "$2" || Die "$1 $3 is too old: Aha needs $2 or later. Install one and put it first in PATH."
}

MissingPackages() {
  comm -23 <(PackageNames | sort) <(
    PackageNames | xargs dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null |
      sed -n 's/^installed //p' | sort
  )
}

InstallPackages() {
  if ((EUID != 0)); then
    Say "these Debian packages are missing (tools/packages.txt says what each is for). Run this, then start again:"
    printf '\n  sudo apt-get update && sudo apt-get install --no-install-recommends %s\n\n' "$*" >&2
    exit 1
  fi
  local log
  log=$(Cache)/apt.log
  Say "installing $# missing Debian packages that the build needs: $* (log: $log)"
  if ! AptInstall "$@" >"$log" 2>&1; then
    AptGet update >>"$log" 2>&1 || true # the next line says what is wrong
    AptInstall "$@" >>"$log" 2>&1 || {
      grep -E '^(E|Err|W):' "$log" | sort -u | tail -n 5 >&2 || true
      Die "apt-get could not install $* (log: $log). Check the network and /etc/apt, then start again."
    }
  fi
}

AptGet() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null; }
AptInstall() { AptGet install -y --no-install-recommends "$@"; }

# Jobs: one a core, but 2 GB of memory each: LibTorch's headers are big. Containers have limits of their own.
Jobs() {
  if [[ -n ${AHA_JOBS-} ]]; then
    [[ $AHA_JOBS =~ ^[1-9][0-9]*$ ]] || Die "AHA_JOBS=$AHA_JOBS is not a number of jobs. Set it to 1 or more."
    printf '%s\n' "$AHA_JOBS"
    return
  fi
  local cores megabytes limit file
  cores=$(nproc)
  megabytes=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    limit=$(cat "$file" 2>/dev/null) || continue
    if [[ $limit =~ ^[0-9]{1,15}$ ]] && ((limit / 1048576 < megabytes)); then megabytes=$((limit / 1048576)); fi
  done
  local jobs=$((megabytes / 2048 < cores ? megabytes / 2048 : cores))
  printf '%s\n' "$((jobs > 1 ? jobs : 1))"
}

# Build TARGET: configures if need be, then builds with progress in sight. Nothing to do: well under a second.
Build() {
  local build=$root/build/release log=$root/build/release/build.log jobs status=0
  jobs=$(Jobs)
  if [[ ! -f $build/build.ninja ]] || ! Configured "$build/CMakeCache.txt"; then
    Say "configuring the build in $build"
    (cd -- "$root" && cmake --fresh --preset release "-DAHA_LIBTORCH=$libtorch") >"$log" 2>&1 </dev/null || {
      grep -A6 -E '^CMake Error' "$log" | head -n 24 >&2 || true
      Die "cmake could not configure the build (log: $log)."
    }
  fi
  cmake --build "$build" --target "$1" -j "$jobs" 2>&1 </dev/null | ShowProgress "$log" "$1" "$jobs" || status=$?
  if ((status)); then
    tail -n 30 -- "$log" | cut -c -400 >&2
    if grep -q 'Killed signal' "$log"; then Say "memory ran out: AHA_JOBS=1 ./aha ... builds one file at a time."; fi
    Die "the build failed (log: $log). Nothing was run."
  fi
}

# Configured CACHE: whether the build folder was made here, and for this LibTorch.
Configured() {
  grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$1" 2>/dev/null && grep -qxF "AHA_LIBTORCH:PATH=$libtorch" "$1"
}

# ShowProgress LOG TARGET JOBS: ninja's lines to the log, its counter to the terminal (elsewhere: a line every 15 s).
ShowProgress() {
  local line next=0 started=$SECONDS columns=${COLUMNS:-}
  if [[ -t 2 ]]; then columns=${columns:-$(tput cols 2>/dev/null || echo 100)}; fi
  : >"$1"
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    [[ $line =~ ^\[[0-9]+/[0-9]+\] ]] || continue
    if ((next == 0)); then Say "building $2, $3 at a time (log: $1)"; fi
    if [[ -t 2 ]]; then
      printf '\r\033[K%s' "${line:0:columns-1}" >&2
      next=1
    elif ((SECONDS >= next)); then
      Say "$line"
      next=$((SECONDS + 15))
    fi
  done
  if ((next)); then
    if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
    Say "build ended after $((SECONDS - started)) s"
  fi
}

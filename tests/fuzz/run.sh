#!/usr/bin/env bash
# Fuzzes every target, or those named, one after another: tests/fuzz/run.sh [-t SECONDS] [TARGET...]
# Builds with the preset `fuzz` (clang). New inputs that reach new code go to build/fuzz/corpus/TARGET; an input that
# breaks a promise to build/fuzz/crashes, and the exit code is 1.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
seconds=600
while getopts t: option; do
  case "$option" in
    t) seconds="$OPTARG" ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(safetensors gguf config tokenizer math wire)

cd "$root"
[ -f build/fuzz/build.ninja ] || cmake --preset fuzz >&2
ninja -C build/fuzz "${targets[@]/%/_fuzz}" >&2
mkdir -p build/fuzz/crashes
failed=0
for target in "${targets[@]}"; do
  mkdir -p "build/fuzz/corpus/$target"
  dictionary=()
  [ -f "tests/fuzz/$target.dict" ] && dictionary=("-dict=tests/fuzz/$target.dict")
  echo "== $target, $seconds s" >&2
  "build/fuzz/tests/fuzz/${target}_fuzz" "build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" "${dictionary[@]}" \
    -max_total_time="$seconds" -max_len=65536 -timeout=60 -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/crashes/$target-" || failed=1
done
exit $failed

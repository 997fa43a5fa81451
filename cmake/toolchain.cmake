# C++20, warnings as errors, one place for every flag.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)  # the program finds LibTorch the same way, installed or not
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

option(AHA_BUILD_TESTS "Build the tests" ON)
option(AHA_BUILD_BENCH "Build the benchmarks that need Google Benchmark" OFF)
option(AHA_CUDA "Build with the CUDA toolkit, NCCL and LibTorch's CUDA build (preset cuda; tools/cuda.sh fetches them)" OFF)
option(AHA_FUZZ "Build the libFuzzer targets alone, with clang and without LibTorch (preset fuzz)" OFF)
set(AHA_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")

find_program(AHA_MOLD mold)
if(AHA_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Aha's own files alone: those who link its libraries choose their own warnings.
set(AHA_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  list(APPEND AHA_WARNINGS -Wno-restrict)  # GCC 12 sees overlaps in std::string that are not there (PR105651)
endif()
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${AHA_WARNINGS}>")

# -ffp-contract=off: a compiler that fuses a*b+c where it likes changes bits between builds.
add_library(aha_flags INTERFACE)
target_compile_features(aha_flags INTERFACE cxx_std_20)
target_compile_options(aha_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>
                                           $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false>)
target_include_directories(aha_flags INTERFACE
                           $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>
                           $<INSTALL_INTERFACE:include>)
if(AHA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
if(AHA_SANITIZE)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-Wno-maybe-uninitialized)  # GCC 12 with sanitizers sees it in std::variant and tl::expected
  endif()
  add_compile_options(-fsanitize=${AHA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${AHA_SANITIZE})
endif()

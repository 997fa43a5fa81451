# The libraries that Aha links, in one place for the build and for the installed package, which sets
# AHA_FIND to QUIET and then offers what it can with the targets that were found.
find_package(PkgConfig ${AHA_FIND})
find_package(Threads ${AHA_FIND})
find_package(Protobuf ${AHA_FIND})
find_package(OpenSSL ${AHA_FIND} COMPONENTS Crypto)
find_package(ICU ${AHA_FIND} COMPONENTS uc i18n)
find_package(fmt ${AHA_FIND})
find_package(spdlog ${AHA_FIND})
find_package(nlohmann_json ${AHA_FIND})
find_package(CLI11 ${AHA_FIND})
find_package(tl-expected ${AHA_FIND})
if(PkgConfig_FOUND)
  pkg_check_modules(ZMQ ${AHA_FIND} IMPORTED_TARGET libzmq)
  pkg_check_modules(RE2 ${AHA_FIND} IMPORTED_TARGET re2)
  pkg_check_modules(SECCOMP ${AHA_FIND} IMPORTED_TARGET libseccomp)
  pkg_check_modules(PCRE2 ${AHA_FIND} IMPORTED_TARGET libpcre2-8)
  pkg_check_modules(HWY ${AHA_FIND} IMPORTED_TARGET libhwy)
endif()

# Gloo's headers, which c10d's own want; the code is in LibTorch. Ranks of CPUs (aha_parallel) need them.
find_path(AHA_GLOO_INCLUDE gloo/config.h)

# FLINT and Arb come without a package file.
find_path(AHA_ARB_INCLUDE acb.h)
find_library(AHA_FLINT_LIBRARY flint)
find_library(AHA_ARB_LIBRARY NAMES flint-arb arb)
find_library(AHA_GMP_LIBRARY gmp)
if(AHA_ARB_INCLUDE AND AHA_FLINT_LIBRARY AND AHA_ARB_LIBRARY AND AHA_GMP_LIBRARY AND NOT TARGET flint::arb)
  add_library(flint::arb INTERFACE IMPORTED)
  target_include_directories(flint::arb INTERFACE "${AHA_ARB_INCLUDE}")
  target_link_libraries(flint::arb INTERFACE "${AHA_ARB_LIBRARY}" "${AHA_FLINT_LIBRARY}" "${AHA_GMP_LIBRARY}")
elseif(AHA_FIND STREQUAL "REQUIRED" AND NOT TARGET flint::arb)
  message(FATAL_ERROR "FLINT with Arb was not found: install libflint-dev and libflint-arb-dev.")
endif()

# LibTorch: libtorch_cpu and libc10 alone. find_package(Torch) would drag the CUDA libraries in.
# LibTorch brings headers of its own fmt, Protocol Buffers and pybind11, other versions than Debian's: a folder of
# links leaves those three out, or a file that includes <ATen/...> and a message's header would not compile.
if(EXISTS "${AHA_LIBTORCH}/include/ATen/ATen.h" AND EXISTS "${AHA_LIBTORCH}/lib/libtorch_cpu.so"
   AND NOT TARGET aha_torch)
  file(GLOB entries RELATIVE "${AHA_LIBTORCH}/include" "${AHA_LIBTORCH}/include/*")
  list(REMOVE_ITEM entries fmt google pybind11)
  set(links "${CMAKE_BINARY_DIR}/libtorch-include")
  file(MAKE_DIRECTORY "${links}")
  foreach(entry IN LISTS entries)
    file(CREATE_LINK "${AHA_LIBTORCH}/include/${entry}" "${links}/${entry}" SYMBOLIC)
  endforeach()
  add_library(aha_torch INTERFACE IMPORTED)
  target_include_directories(aha_torch INTERFACE "${links}" "${links}/torch/csrc/api/include")
  target_link_libraries(aha_torch INTERFACE "${AHA_LIBTORCH}/lib/libtorch_cpu.so" "${AHA_LIBTORCH}/lib/libc10.so")
  # CMake writes the libraries' folder into the program, here as an old-style RPATH, which LD_LIBRARY_PATH does not
  # override: another LibTorch there must not slip in.
  target_link_options(aha_torch INTERFACE -Wl,--disable-new-dtags -Wl,--allow-shlib-undefined)
endif()

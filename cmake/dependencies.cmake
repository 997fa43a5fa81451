# Debian's packages, and LibTorch from a folder with include/ and lib/ (./aha puts the pinned one there).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ICU REQUIRED COMPONENTS uc i18n)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tl-expected REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
if(AHA_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()

# LibTorch: libtorch_cpu and libc10 alone. find_package(Torch) would drag the CUDA libraries in.
set(AHA_LIBTORCH "$ENV{HOME}/.cache/aha/libtorch-2.15.0" CACHE PATH "LibTorch: a folder with include/ and lib/")
if(NOT EXISTS "${AHA_LIBTORCH}/include/ATen/ATen.h" OR NOT EXISTS "${AHA_LIBTORCH}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch was not found in ${AHA_LIBTORCH}. Run ./aha, which sets it up, or pass "
                      "-DAHA_LIBTORCH=DIR with DIR/include/ATen and DIR/lib/libtorch_cpu.so (PyTorch 2.15).")
endif()
add_library(aha_torch INTERFACE)
# After the system's headers: the wheel brings a copy of fmt, newer than the one that we link.
target_compile_options(aha_torch INTERFACE "SHELL:-idirafter ${AHA_LIBTORCH}/include")
target_link_libraries(aha_torch INTERFACE "${AHA_LIBTORCH}/lib/libtorch_cpu.so" "${AHA_LIBTORCH}/lib/libc10.so")
target_link_options(aha_torch INTERFACE "-Wl,-rpath,${AHA_LIBTORCH}/lib" "-Wl,--allow-shlib-undefined")

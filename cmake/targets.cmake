# Slow headers, parsed once a library: what those that compute with tensors precompile.
set(AHA_TENSOR_PCH <ATen/core/Tensor.h> <ATen/TensorOperators.h> <fmt/format.h> <tl/expected.hpp>)

# aha_library(NAME SOURCES ... DEPS ... [PCH header ...]): library target aha_NAME of the folder NAME/.
function(aha_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS;PCH" ${ARGN})
  add_library(aha_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(aha_${name} PUBLIC aha_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  if(ARG_PCH)
    target_precompile_headers(aha_${name} PRIVATE ${ARG_PCH})
  endif()
  set_property(GLOBAL APPEND PROPERTY AHA_LIBRARIES aha_${name})
endfunction()

# aha_test(NAME SOURCES ... DEPS ... [LABELS ...]): one GoogleTest program; ctest runs it whole, cases listed by name.
function(aha_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PCH;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE AHA_SOURCE_DIR="${PROJECT_SOURCE_DIR}" AHA_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(ARG_PCH)
    target_precompile_headers(${name} PRIVATE ${ARG_PCH})
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "${ARG_LABELS}")
  if(AHA_SANITIZE STREQUAL "thread")
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp")
  endif()
endfunction()

# What a reward plug-in builds against, here and outside: the headers alone.
add_library(aha_plugin INTERFACE)
add_library(aha::plugin ALIAS aha_plugin)
target_compile_features(aha_plugin INTERFACE cxx_std_20)
target_include_directories(aha_plugin INTERFACE
                           $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include>)
include(${PROJECT_SOURCE_DIR}/cmake/ahaRewardPlugin.cmake)

add_custom_target(format COMMAND ${PROJECT_SOURCE_DIR}/tools/check format USES_TERMINAL VERBATIM)
add_custom_target(tidy COMMAND ${PROJECT_SOURCE_DIR}/tools/check tidy USES_TERMINAL VERBATIM)

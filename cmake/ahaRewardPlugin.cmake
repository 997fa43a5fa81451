# aha_reward_plugin(NAME SOURCE...): NAME.so, a reward that `aha` loads at run time. Needs neither LibTorch nor protobuf.
function(aha_reward_plugin name)
  add_library(${name} MODULE ${ARGN})
  set_target_properties(${name} PROPERTIES PREFIX "")
  target_link_libraries(${name} PRIVATE aha::plugin)
endfunction()

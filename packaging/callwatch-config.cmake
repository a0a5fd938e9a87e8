# SPDX-License-Identifier: MIT
#
# find_package(callwatch): target callwatch::plugin has the headers; CALLWATCH_PLUGIN_DIR is where plugins are looked for.
#
#     add_library(disks MODULE disks.c)
#     target_link_libraries(disks PRIVATE callwatch::plugin)
#     set_target_properties(disks PROPERTIES PREFIX "")
get_filename_component(_callwatch_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(CALLWATCH_PLUGIN_DIR "${_callwatch_prefix}/lib/callwatch")
if(NOT TARGET callwatch::plugin)
  add_library(callwatch::plugin INTERFACE IMPORTED)
  set_target_properties(callwatch::plugin PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_callwatch_prefix}/include")
endif()
unset(_callwatch_prefix)

# SPDX-License-Identifier: MIT
#
# callwatch_plugin(NAME SOURCES… LIBRARIES…): a plugin as build/plugins/NAME.so, and the same code as target NAME-code for
# its unit tests. Every symbol must be defined at link time: a plugin has none of the core's (include/callwatch/plugin.h).
function(callwatch_plugin name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  list(TRANSFORM arg_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/plugins/${name}/)
  add_library(${name}-code STATIC ${arg_SOURCES})
  target_include_directories(${name}-code PUBLIC ${CMAKE_SOURCE_DIR}/plugins/${name})
  target_link_libraries(${name}-code PUBLIC ${arg_LIBRARIES} callwatch-common PkgConfig::libuv Threads::Threads)
  add_library(${name} MODULE $<TARGET_OBJECTS:${name}-code>)
  set_target_properties(${name} PROPERTIES PREFIX "" LINKER_LANGUAGE C LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} callwatch-common PkgConfig::libuv Threads::Threads)
  target_link_options(${name} PRIVATE -Wl,--exclude-libs,ALL,--undefined=cw_plugin)
  if(NOT CMAKE_C_FLAGS MATCHES "sanitize")
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  install(TARGETS ${name} LIBRARY DESTINATION lib/callwatch)
endfunction()

# callwatch_unit_test(NAME SOURCES… LIBRARIES…): a cmocka program, run by ctest.
function(callwatch_unit_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT CALLWATCH_TESTS)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_definitions(${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}" BUILD_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} callwatch-common cmocka)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# SPDX-License-Identifier: MIT
callwatch_plugin(exec
  SOURCES exec.c runs.c program.c child.c lines.c intake.c catalogue.c naming.c types.c complaints.c
          parse_common.c parse_putval.c parse_prometheus.c parse_graphite.c parse_ndjson.c
  LIBRARIES PkgConfig::jansson PkgConfig::libsodium)

set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
foreach(part parse parts)
  callwatch_unit_test(test_plugin_exec_${part} SOURCES ${unit}/test_plugin_exec_${part}.c LIBRARIES exec-code)
endforeach()
callwatch_unit_test(test_plugin_exec SOURCES ${unit}/test_plugin_exec.c ${unit}/plugin_host.c
  LIBRARIES exec-code callwatch-core)

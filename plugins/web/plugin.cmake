# SPDX-License-Identifier: MIT
callwatch_plugin(web
  SOURCES web.c listen.c http.c route.c params.c series.c render_json.c render_csv.c
          routes/agent.c routes/status.c routes/tables.c routes/watch.c
  LIBRARIES PkgConfig::libwebsockets)

set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
callwatch_unit_test(test_plugin_web SOURCES ${unit}/test_plugin_web.c ${unit}/web_fake.c LIBRARIES web-code)
foreach(part render params series)
  callwatch_unit_test(test_plugin_web_${part} SOURCES ${unit}/test_plugin_web_${part}.c LIBRARIES web-code)
endforeach()

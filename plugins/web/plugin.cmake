# SPDX-License-Identifier: MIT
callwatch_plugin(web
  SOURCES web.c listen.c http.c route.c params.c buffer.c series.c render_json.c render_csv.c
          routes/agent.c routes/status.c routes/tables.c routes/watch.c
  LIBRARIES PkgConfig::libwebsockets)

set(web_tests ${CMAKE_SOURCE_DIR}/plugins/web/tests)
callwatch_unit_test(test_web_server SOURCES ${web_tests}/test_web_server.c ${web_tests}/fake_host.c LIBRARIES web-code)

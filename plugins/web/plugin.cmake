# SPDX-License-Identifier: MIT
callwatch_plugin(web
  SOURCES web.c body.c action_body.c alert_body.c checks.c listen.c listen_tcp.c listen_unix.c access.c credentials.c guard.c http.c ip.c request.c route.c params.c family.c series.c exposition.c tls.c render_json.c render_csv.c
          routes/actions.c routes/agent.c routes/alerts.c routes/config.c routes/doctor.c routes/endpoint.c routes/log.c routes/metrics.c routes/pending.c
          routes/status.c routes/tables.c routes/tasks.c routes/watch.c
  LIBRARIES PkgConfig::libwebsockets PkgConfig::libsodium PkgConfig::jansson connect-tls)

set(unit ${CMAKE_SOURCE_DIR}/tests/unit)
foreach(whole web web_access)
  callwatch_unit_test(test_plugin_${whole} SOURCES ${unit}/test_plugin_${whole}.c ${unit}/web_fake.c LIBRARIES web-code callwatch-core)
endforeach()
foreach(part action_body alert_body exposition guard ip render params series)
  callwatch_unit_test(test_plugin_web_${part} SOURCES ${unit}/test_plugin_web_${part}.c LIBRARIES web-code)
endforeach()

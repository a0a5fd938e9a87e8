# SPDX-License-Identifier: MIT
# OpenSSL's libcrypto for the network protocol: libsodium has neither AES-OFB nor SHA-1.
callwatch_plugin(collectd SOURCES collectd.c network.c packet.c seal.c unixsock.c
        LIBRARIES callwatch-format connect-collectd PkgConfig::libcrypto)
callwatch_unit_test(test_plugin_collectd_parts SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_collectd_parts.c
        LIBRARIES collectd-code callwatch-core)
callwatch_unit_test(test_plugin_collectd
        SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_collectd.c ${CMAKE_SOURCE_DIR}/tests/unit/plugin_host.c
        LIBRARIES collectd-code callwatch-core)

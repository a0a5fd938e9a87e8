# SPDX-License-Identifier: MIT
# OpenSSL's libcrypto for the network protocol: libsodium has neither AES-OFB nor SHA-1.
callwatch_plugin(collectd SOURCES collectd.c network.c packet.c replies.c seal.c unixsock.c
        LIBRARIES callwatch-format PkgConfig::libcrypto)

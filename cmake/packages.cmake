# Debian's libraries; scripts/bootstrap installs them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(package jansson libpcre2-8 libsodium openssl sqlite3 yaml-0.1 hiredis libcurl libmicrohttpd luajit libpq)
  string(MAKE_C_IDENTIFIER ${package} id)
  pkg_check_modules(${id} REQUIRED IMPORTED_TARGET ${package})
endforeach()
find_library(LMDB_LIBRARY lmdb REQUIRED)

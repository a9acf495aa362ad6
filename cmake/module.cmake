# The nginx module: src/edge and the libraries below it in one .so, for Debian's nginx of exactly this version.
#
# nginx-dev carries the configure script and the headers. Configure runs once per build directory (about five
# seconds) for nothing but objs/ngx_auto_config.h: the flags must be Debian's own, or nginx refuses the module
# as "not binary compatible". Our files are then compiled like all others, so warnings, hardening, sanitizers
# and compile_commands.json hold for them too.
#
# With an address sanitizer build nginx itself is not instrumented, so the runtime must come first:
#   LD_PRELOAD=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so) \
#   ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0 nginx -p DIR -c nginx.conf
# Leaks are off because nginx leaves its pools to the operating system; nginx pools also hide overruns inside
# a block, which is why our own arenas poison.

set(nginx_build "${CMAKE_BINARY_DIR}/nginx")

# What of src/edge knows no nginx, for unit tests and fuzzers too.
add_library(tp_edge_plain STATIC src/edge/first_bytes.c src/edge/search_list.c src/edge/upstream_parse.c
  src/edge/settings.c)
target_link_libraries(tp_edge_plain PUBLIC tp_gateway)

file(GLOB_RECURSE edge_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/edge/*.c")
list(FILTER edge_sources EXCLUDE REGEX "/(test_[^/]*|first_bytes|search_list|upstream_parse|settings)\\.c$")

if(edge_sources AND EXISTS "${NGINX_SOURCE}/configure" AND NOT TURNPIKE_SANITIZE MATCHES "thread|fuzzer")
  # "configure" and "auto" look for each other in the working directory; the package's folder is read only.
  if(NOT EXISTS "${nginx_build}/objs/ngx_auto_config.h")
    message(STATUS "Configuring nginx's headers")
    execute_process(
      COMMAND "${CMAKE_SOURCE_DIR}/scripts/configure-nginx" "${NGINX_SOURCE}" "${nginx_build}"
      OUTPUT_FILE "${CMAKE_BINARY_DIR}/nginx-configure.log" ERROR_FILE "${CMAKE_BINARY_DIR}/nginx-configure.log"
      COMMAND_ERROR_IS_FATAL ANY)
  endif()

  add_library(ngx_http_turnpike_module MODULE ${edge_sources})
  set_target_properties(ngx_http_turnpike_module PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
  set(nginx_includes "${nginx_build}/objs")
  foreach(folder core event event/modules os/unix http http/modules http/v2 stream)
    list(APPEND nginx_includes "${NGINX_SOURCE}/src/${folder}")
  endforeach()
  target_include_directories(ngx_http_turnpike_module SYSTEM PRIVATE ${nginx_includes})
  set(exports "${CMAKE_SOURCE_DIR}/cmake/module.map")
  target_link_options(ngx_http_turnpike_module PRIVATE "-Wl,--version-script=${exports}")
  set_target_properties(ngx_http_turnpike_module PROPERTIES LINK_DEPENDS "${exports}")
  target_link_libraries(ngx_http_turnpike_module PRIVATE tp_edge_plain tp_plugins)
  # The request path crosses folders at nearly every call, so the module is optimised as a whole: about 450 of the 7,500
  # instructions that a request costs in it. The objects hold ordinary code too, for everything else that links them.
  if(NOT TURNPIKE_SANITIZE)
    foreach(target tp_base tp_plan tp_quota tp_gateway tp_plugins tp_edge_plain ngx_http_turnpike_module)
      target_compile_options(${target} PRIVATE -flto -ffat-lto-objects)
    endforeach()
    target_link_options(ngx_http_turnpike_module PRIVATE -flto=2)
  endif()
  # nginx's own symbols stay open until it loads us; one of ours that does is a mistake to be seen here, not there.
  add_custom_command(TARGET ngx_http_turnpike_module POST_BUILD
    COMMAND sh -c "! nm -D --undefined-only $<TARGET_FILE:ngx_http_turnpike_module> | grep ' tp_'" VERBATIM)
endif()

# A read model without control, for benchmarks of the module alone.
add_executable(make_read_model EXCLUDE_FROM_ALL tests/bench/make_read_model.c)
target_link_libraries(make_read_model PRIVATE tp_plan)

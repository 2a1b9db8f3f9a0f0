# The libraries this project links, as imported targets deps::NAME. deploy/setup.sh installs them.
#
# cmocka is asked for unless BUILD_TESTING is off.
# STAGE4_DEPS is the prefix of the libraries setup.sh built: -DSTAGE4_DEPS=..., else the
# environment variable of that name, else .deps in the repository.
include_guard(GLOBAL)

set(deps_hint "run deploy/setup.sh")

if(DEFINED ENV{STAGE4_DEPS})
    set(deps_default "$ENV{STAGE4_DEPS}")
else()
    get_filename_component(deps_default "${CMAKE_CURRENT_LIST_DIR}/../../.deps" ABSOLUTE)
endif()
set(STAGE4_DEPS "${deps_default}" CACHE PATH "Prefix of the libraries built by deploy/setup.sh")

find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
    message(FATAL_ERROR "pkg-config not found: ${deps_hint}")
endif()
find_package(Threads REQUIRED)

# deps::NAME from a pkg-config module, of a minimum version.
function(deps_from_pkgconfig name module version)
    pkg_check_modules(deps_${name} QUIET IMPORTED_TARGET GLOBAL ${module}>=${version})
    if(NOT deps_${name}_FOUND)
        message(FATAL_ERROR "${module} ${version} or later not found: ${deps_hint}")
    endif()
    add_library(deps::${name} ALIAS PkgConfig::deps_${name})
endfunction()

# deps::NAME from a static library in STAGE4_DEPS; further arguments are what it links.
function(deps_from_prefix name library header)
    set(file "${STAGE4_DEPS}/lib/${library}")
    if(NOT EXISTS "${file}" OR NOT EXISTS "${STAGE4_DEPS}/include/${header}")
        message(FATAL_ERROR "${library} not found in ${STAGE4_DEPS}: ${deps_hint}")
    endif()
    add_library(deps::${name} STATIC IMPORTED GLOBAL)
    set_target_properties(deps::${name} PROPERTIES
        IMPORTED_LOCATION "${file}"
        INTERFACE_INCLUDE_DIRECTORIES "${STAGE4_DEPS}/include"
        INTERFACE_LINK_LIBRARIES "${ARGN}")
endfunction()

function(deps_find_file variable name)
    find_library(${variable} ${name})
    mark_as_advanced(${variable})
    if(NOT ${variable})
        message(FATAL_ERROR "${name} not found: ${deps_hint}")
    endif()
endfunction()

deps_from_pkgconfig(zmq libzmq 4.3)
deps_from_pkgconfig(czmq libczmq 4.2)
deps_from_pkgconfig(msgpack msgpack 4.0)
deps_from_pkgconfig(openblas openblas 0.3.21)
deps_from_pkgconfig(hiredis hiredis 0.14)
deps_from_pkgconfig(pq libpq 15)
deps_from_pkgconfig(sqlite sqlite3 3.40)
deps_from_pkgconfig(yajl yajl 2.1)
deps_from_pkgconfig(jansson jansson 2.14)
deps_from_pkgconfig(curl libcurl 7.88)
deps_from_pkgconfig(openssl openssl 3.0)
deps_from_pkgconfig(zstd libzstd 1.5)
deps_from_pkgconfig(zlib zlib 1.2)
deps_from_pkgconfig(yaml yaml-0.1 0.2)
if(BUILD_TESTING OR NOT DEFINED BUILD_TESTING)
    deps_from_pkgconfig(cmocka cmocka 1.1)
endif()

deps_from_prefix(civetweb libcivetweb.a civetweb.h deps::openssl Threads::Threads)

# The C API is C++ inside: a C program links the C++ and OpenMP run-time libraries with it.
deps_find_file(DEPS_FAISS_LIBRARY libfaiss.a)
deps_from_prefix(faiss_c libfaiss_c.a faiss/c_api/Index_c.h
    "${DEPS_FAISS_LIBRARY}" deps::openblas gomp stdc++ m Threads::Threads)

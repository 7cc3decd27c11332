# The engine: libllama + ggml, unpatched, pinned, built once into the user's cache.
#
# After inclusion:
#   TRIMMA_ENGINE_PREFIX   where it is installed (lib/, lib/backends/, include/)
#   TRIMMA_ENGINE_SOURCE   its sources (headers no package ships; vendor/)
#   TRIMMA_ENGINE_BACKENDS cpu | cpu+cuda | cpu+vulkan
#   TRIMMA_ENGINE_WHY      one sentence: why these backends
#   target trimma::engine  headers + libraries; only src/engine may link it
#
# Backends are loadable modules, so that starting trimma never loads a GPU's
# libraries. ggml refuses GGML_NATIVE with modules, so this machine's instruction
# sets are named one by one; they are part of the cache key.
# Runs inside a project or alone: cmake -P cmake/engine.cmake builds it and stops.

set(TRIMMA_ENGINE_COMMIT de3ff815ea7d559ee917f063901b8986f038abc6)
set(TRIMMA_ENGINE_VERSION v0.5.0)
set(TRIMMA_ENGINE_NPM node-llama-cpp@3.22.1)

if(NOT TRIMMA_CACHE)
  if(DEFINED ENV{XDG_CACHE_HOME} AND IS_ABSOLUTE "$ENV{XDG_CACHE_HOME}")
    set(TRIMMA_CACHE "$ENV{XDG_CACHE_HOME}/trimma")
  elseif(DEFINED ENV{HOME})
    set(TRIMMA_CACHE "$ENV{HOME}/.cache/trimma")
  else()
    message(FATAL_ERROR "neither XDG_CACHE_HOME nor HOME is set; pass -DTRIMMA_CACHE=DIR")
  endif()
endif()
string(SUBSTRING ${TRIMMA_ENGINE_COMMIT} 0 12 _commit12)

# Which GPU backend: cuda, vulkan or none, and the reason for `trimma scan`.
function(trimma_choose_gpu out_backend out_why)
  if(TRIMMA_GPU AND NOT TRIMMA_GPU STREQUAL "auto")
    set(${out_backend} ${TRIMMA_GPU} PARENT_SCOPE)
    set(${out_why} "TRIMMA_GPU=${TRIMMA_GPU} was asked for when building" PARENT_SCOPE)
    return()
  endif()
  find_program(TRIMMA_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_HOME PATH_SUFFIXES bin)
  find_program(TRIMMA_GLSLC glslc)
  find_path(TRIMMA_VULKAN_INCLUDE vulkan/vulkan.hpp)
  file(GLOB nvidia_cards /dev/nvidia[0-9]*)
  file(GLOB render_nodes /dev/dri/renderD*)
  if(nvidia_cards AND TRIMMA_NVCC)
    set(backend cuda)
    set(why "an NVIDIA card and nvcc (${TRIMMA_NVCC}) were found")
  elseif((nvidia_cards OR render_nodes) AND TRIMMA_GLSLC AND TRIMMA_VULKAN_INCLUDE)
    set(backend vulkan)
    set(why "a GPU, Vulkan headers and glslc were found, nvcc was not")
  elseif(nvidia_cards OR render_nodes)
    set(backend none)
    set(why "a GPU was found, but neither nvcc nor Vulkan headers with glslc (Debian: libvulkan-dev glslc)")
  else()
    set(backend none)
    set(why "no GPU device node (/dev/nvidia*, /dev/dri/renderD*) was found when building")
  endif()
  set(${out_backend} ${backend} PARENT_SCOPE)
  set(${out_why} "${why}" PARENT_SCOPE)
endfunction()

# Whether the compiler hands a whole tile configuration to AMX. GCC 12's _tile_loadconfig tells its
# optimiser of the first 8 bytes only, which then leaves out the rest, and every product of a
# quantised matrix with more than one column ends in an illegal instruction.
function(trimma_amx_works out)
  set(dir "${TRIMMA_CACHE}/engine/amx-probe")
  file(WRITE "${dir}/probe.cc" [[
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
struct alignas(64) Config {
  unsigned char palette, start_row, reserved[14];
  unsigned short row_bytes[16];
  unsigned char rows[16];
};
inline void Configure() {
  Config config = {};
  config.palette = 1;
  for (int i = 0; i < 8; ++i) config.row_bytes[i] = 64, config.rows[i] = 16;
  _tile_loadconfig(&config);
}
int main() {
  if (syscall(SYS_arch_prctl, 0x1023, 18) != 0) return 1;  // ARCH_REQ_XCOMP_PERM, tile data
  Configure();
  Config seen = {};
  asm volatile("sttilecfg %0" : "=m"(seen));
  return seen.palette == 1 && seen.rows[7] == 16 && seen.row_bytes[7] == 64 ? 0 : 1;
}
]])
  execute_process(COMMAND ${TRIMMA_CXX} -O3 -mamx-tile -mamx-int8 -o "${dir}/probe" "${dir}/probe.cc"
                  RESULT_VARIABLE rc OUTPUT_QUIET ERROR_QUIET)
  if(rc EQUAL 0)
    execute_process(COMMAND "${dir}/probe" RESULT_VARIABLE rc OUTPUT_QUIET ERROR_QUIET)
  endif()
  file(REMOVE_RECURSE "${dir}")
  if(rc EQUAL 0)
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

# ggml's names of the instruction sets that this processor has.
function(trimma_isa_flags out)
  set(flags "")
  if(EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo cpu REGEX "^(flags|Features)" LIMIT_COUNT 1)
  endif()
  set(cpu " ${cpu} ")
  set(amx FALSE)
  if(cpu MATCHES " amx_tile ")
    trimma_amx_works(amx)
  endif()
  foreach(pair sse4_2:SSE42 avx:AVX avx2:AVX2 bmi2:BMI2 fma:FMA f16c:F16C avx_vnni:AVX_VNNI
               avx512vbmi:AVX512_VBMI avx512_vnni:AVX512_VNNI avx512_bf16:AVX512_BF16
               amx_tile:AMX_TILE amx_int8:AMX_INT8 amx_bf16:AMX_BF16)
    string(REPLACE ":" ";" pair ${pair})
    list(GET pair 0 name)
    list(GET pair 1 option)
    if(name MATCHES "^amx_" AND NOT amx)
      continue()
    endif()
    if(cpu MATCHES " ${name} ")
      list(APPEND flags -DGGML_${option}=ON)
    endif()
  endforeach()
  if(cpu MATCHES " avx512f .*" AND cpu MATCHES " avx512bw " AND cpu MATCHES " avx512vl ")
    list(APPEND flags -DGGML_AVX512=ON)
  endif()
  if(cpu MATCHES " asimd ")
    set(arch armv8-a)
    if(cpu MATCHES " asimddp ")
      set(arch armv8.2-a+dotprod)
    endif()
    if(cpu MATCHES " asimdhp ")
      string(APPEND arch +fp16)
    endif()
    if(cpu MATCHES " i8mm ")
      string(APPEND arch +i8mm)
    endif()
    list(APPEND flags -DGGML_CPU_ARM_ARCH=${arch})
  endif()
  set(${out} "${flags}" PARENT_SCOPE)
endfunction()

# Verifies that `dir` holds the pinned commit with an untouched work tree.
function(trimma_check_source dir out_ok)
  execute_process(COMMAND git -C "${dir}" rev-parse HEAD OUTPUT_VARIABLE head
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE rc)
  execute_process(COMMAND git -C "${dir}" status --porcelain --untracked-files=no
                  OUTPUT_VARIABLE dirty ERROR_QUIET)
  if(rc EQUAL 0 AND head STREQUAL TRIMMA_ENGINE_COMMIT AND "${dirty}" STREQUAL "")
    set(${out_ok} TRUE PARENT_SCOPE)
  else()
    set(${out_ok} FALSE PARENT_SCOPE)
  endif()
endfunction()

function(trimma_fetch_source dir)
  set(tmp "${dir}.part")
  file(REMOVE_RECURSE "${tmp}" "${dir}")
  file(MAKE_DIRECTORY "${tmp}")
  message(STATUS "engine: fetching llama.cpp ${TRIMMA_ENGINE_VERSION} (${_commit12})")
  execute_process(COMMAND git init -q "${tmp}")
  # A network that swallows packets is known after 15 seconds; a slow one may take its time.
  set(github https://github.com/ggml-org/llama.cpp)
  execute_process(COMMAND git ls-remote -q ${github} HEAD TIMEOUT 15
                  RESULT_VARIABLE rc OUTPUT_QUIET ERROR_QUIET)
  if(rc EQUAL 0)
    execute_process(
      COMMAND git -C "${tmp}" -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=15 fetch -q --depth 1
              ${github} ${TRIMMA_ENGINE_COMMIT}
      TIMEOUT 600 RESULT_VARIABLE rc ERROR_QUIET)
  endif()
  if(rc EQUAL 0)
    execute_process(COMMAND git -C "${tmp}" checkout -q FETCH_HEAD RESULT_VARIABLE rc)
  endif()
  if(NOT rc EQUAL 0)
    find_program(TRIMMA_NPM npm)
    if(NOT TRIMMA_NPM)
      message(FATAL_ERROR "engine: GitHub can't be reached and npm is missing; install npm, "
                          "or pass -DTRIMMA_LLAMA_SOURCE=DIR with commit ${TRIMMA_ENGINE_COMMIT}")
    endif()
    message(STATUS "engine: GitHub can't be reached; taking the same commit from npm ${TRIMMA_ENGINE_NPM}")
    file(REMOVE_RECURSE "${tmp}")
    file(MAKE_DIRECTORY "${tmp}/npm")
    execute_process(COMMAND ${TRIMMA_NPM} pack --silent ${TRIMMA_ENGINE_NPM}
                    WORKING_DIRECTORY "${tmp}/npm" OUTPUT_VARIABLE tarball
                    OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE rc)
    if(NOT rc EQUAL 0)
      message(FATAL_ERROR "engine: npm pack ${TRIMMA_ENGINE_NPM} failed; check the network, or pass -DTRIMMA_LLAMA_SOURCE=DIR")
    endif()
    execute_process(COMMAND ${CMAKE_COMMAND} -E tar xzf "${tarball}" package/llama/gitRelease.bundle
                    WORKING_DIRECTORY "${tmp}/npm" RESULT_VARIABLE rc)
    execute_process(COMMAND git -c advice.detachedHead=false clone -q
                            "${tmp}/npm/package/llama/gitRelease.bundle" "${tmp}/src" RESULT_VARIABLE rc)
    file(REMOVE_RECURSE "${tmp}/npm")
    if(NOT rc EQUAL 0)
      message(FATAL_ERROR "engine: the bundle in ${TRIMMA_ENGINE_NPM} can't be read")
    endif()
    file(RENAME "${tmp}/src" "${dir}")
    file(REMOVE_RECURSE "${tmp}")
  else()
    file(RENAME "${tmp}" "${dir}")
  endif()
endfunction()

function(trimma_build_engine source prefix flags)
  set(build "${prefix}.build")
  file(REMOVE_RECURSE "${build}" "${prefix}.part")
  message(STATUS "engine: building into ${prefix} (once; about 5 minutes on 2 cores)")
  find_program(TRIMMA_NINJA ninja)
  if(TRIMMA_NINJA)
    set(generator -G Ninja)
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} ${generator} -S "${source}" -B "${build}" ${flags}
                          -DCMAKE_INSTALL_PREFIX=${prefix} -DCMAKE_INSTALL_LIBDIR=lib
                          -DCMAKE_INSTALL_RPATH=$ORIGIN:$ORIGIN/..
                          -DGGML_BACKEND_DIR=${prefix}/lib/backends
                  OUTPUT_FILE "${prefix}.configure.log" ERROR_FILE "${prefix}.configure.log"
                  RESULT_VARIABLE rc)
  if(NOT rc EQUAL 0)
    message(FATAL_ERROR "engine: configuring failed; see ${prefix}.configure.log")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} --build "${build}" --parallel RESULT_VARIABLE rc)
  if(NOT rc EQUAL 0)
    message(FATAL_ERROR "engine: building failed; the compiler's words stand above")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} --install "${build}" OUTPUT_QUIET RESULT_VARIABLE rc)
  if(NOT rc EQUAL 0)
    message(FATAL_ERROR "engine: installing into ${prefix} failed")
  endif()
  file(REMOVE_RECURSE "${build}")
  file(TOUCH "${prefix}/complete")
endfunction()

trimma_choose_gpu(_gpu TRIMMA_ENGINE_WHY)
set(_flags
    -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_BACKEND_DL=ON -DGGML_NATIVE=OFF -DGGML_CCACHE=OFF
    -DGGML_RPC=OFF -DGGML_RPC_RDMA=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_COMMON=OFF
    -DLLAMA_BUILD_MTMD=ON -DMTMD_VIDEO=OFF
    -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
    -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF)
set(TRIMMA_ENGINE_BACKENDS cpu)
if(_gpu STREQUAL "cuda")
  list(APPEND _flags -DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native)
  set(TRIMMA_ENGINE_BACKENDS cpu+cuda)
elseif(_gpu STREQUAL "vulkan")
  list(APPEND _flags -DGGML_VULKAN=ON)
  set(TRIMMA_ENGINE_BACKENDS cpu+vulkan)
endif()

find_program(TRIMMA_CXX NAMES c++ g++ clang++ REQUIRED)
trimma_isa_flags(_isa)
list(APPEND _flags ${_isa})
execute_process(COMMAND ${TRIMMA_CXX} --version OUTPUT_VARIABLE _compiler ERROR_QUIET)
string(SHA256 _key "${TRIMMA_ENGINE_COMMIT};${_flags};${_compiler}")
string(SUBSTRING ${_key} 0 10 _key)
set(TRIMMA_ENGINE_PREFIX "${TRIMMA_CACHE}/engine/${_commit12}-${_key}")

if(TRIMMA_LLAMA_SOURCE)
  set(TRIMMA_ENGINE_SOURCE "${TRIMMA_LLAMA_SOURCE}")
else()
  set(TRIMMA_ENGINE_SOURCE "${TRIMMA_CACHE}/engine/llama.cpp-${_commit12}")
endif()

file(MAKE_DIRECTORY "${TRIMMA_CACHE}/engine")
file(LOCK "${TRIMMA_CACHE}/engine/lock" GUARD PROCESS TIMEOUT 3600)
if(NOT EXISTS "${TRIMMA_ENGINE_PREFIX}/complete" OR NOT EXISTS "${TRIMMA_ENGINE_SOURCE}/include/llama.h")
  trimma_check_source("${TRIMMA_ENGINE_SOURCE}" _ok)
  if(NOT _ok AND NOT TRIMMA_LLAMA_SOURCE)
    trimma_fetch_source("${TRIMMA_ENGINE_SOURCE}")
    trimma_check_source("${TRIMMA_ENGINE_SOURCE}" _ok)
  endif()
  if(NOT _ok)
    message(FATAL_ERROR "engine: ${TRIMMA_ENGINE_SOURCE} is not an untouched checkout of ${TRIMMA_ENGINE_COMMIT}")
  endif()
endif()
if(NOT EXISTS "${TRIMMA_ENGINE_PREFIX}/complete")
  trimma_build_engine("${TRIMMA_ENGINE_SOURCE}" "${TRIMMA_ENGINE_PREFIX}" "${_flags}")
endif()
file(LOCK "${TRIMMA_CACHE}/engine/lock" RELEASE)
message(STATUS "engine: llama.cpp ${_commit12}, ${TRIMMA_ENGINE_BACKENDS} (${TRIMMA_ENGINE_WHY})")

if(NOT CMAKE_SCRIPT_MODE_FILE)
  add_library(trimma_engine_import INTERFACE)
  add_library(trimma::engine ALIAS trimma_engine_import)
  target_include_directories(trimma_engine_import SYSTEM INTERFACE
    "${TRIMMA_ENGINE_PREFIX}/include" "${TRIMMA_ENGINE_SOURCE}/src" "${TRIMMA_ENGINE_SOURCE}/ggml/src")
  target_link_libraries(trimma_engine_import INTERFACE
    "${TRIMMA_ENGINE_PREFIX}/lib/libllama.so" "${TRIMMA_ENGINE_PREFIX}/lib/libmtmd.so"
    "${TRIMMA_ENGINE_PREFIX}/lib/libggml.so" "${TRIMMA_ENGINE_PREFIX}/lib/libggml-base.so")
endif()

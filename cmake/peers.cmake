# The peers' own programs (llama-bench, llama-perplexity, llama-quantize, llama-imatrix,
# llama-server, llama-fit-params) of the pinned commit, built with the engine's own flags, for
# ./dev bench only: cmake -P cmake/peers.cmake, or one of them with -DTRIMMA_PEER=NAME before it.
# Prints where they are as its last line.

include(${CMAKE_CURRENT_LIST_DIR}/engine.cmake)
set(_peers "${TRIMMA_ENGINE_PREFIX}.peers")
set(_programs llama-bench llama-fit-params llama-server llama-perplexity llama-quantize llama-imatrix)
if(TRIMMA_PEER)
  set(_programs ${TRIMMA_PEER})
endif()
# "complete" names what has been built there; a program more is built into the same folder.
set(_built "")
if(EXISTS "${_peers}/complete")
  file(READ "${_peers}/complete" _built)
endif()
set(_missing ${_programs})
list(REMOVE_ITEM _missing ${_built})
if(_missing)
  list(TRANSFORM _flags REPLACE "-DLLAMA_BUILD_(COMMON|TOOLS|SERVER)=OFF" "-DLLAMA_BUILD_\\1=ON")
  find_program(TRIMMA_NINJA ninja)
  if(TRIMMA_NINJA)
    set(_generator -G Ninja)
  endif()
  message(STATUS "peers: building ${_missing} (once; all six take 15 minutes on 2 cores)")
  execute_process(COMMAND ${CMAKE_COMMAND} ${_generator} -S "${TRIMMA_ENGINE_SOURCE}" -B "${_peers}"
                          ${_flags} OUTPUT_QUIET RESULT_VARIABLE rc)
  if(rc EQUAL 0)
    execute_process(COMMAND ${CMAKE_COMMAND} --build "${_peers}" --parallel --target ${_missing}
                    RESULT_VARIABLE rc)
  endif()
  if(NOT rc EQUAL 0)
    message(FATAL_ERROR "peers: the build failed; the compiler's words stand above")
  endif()
  list(APPEND _built ${_missing})
  file(WRITE "${_peers}/complete" "${_built}")
endif()
message(STATUS "peers: ${_peers}/bin")

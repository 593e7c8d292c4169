# Adds run-llama to a build of llama.cpp without touching its tree: given as CMAKE_PROJECT_llama.cpp_INCLUDE
# it is read right after llama.cpp's project(). The target `llama` follows later; CMake looks it up last.
add_executable(run-llama "${CMAKE_CURRENT_LIST_DIR}/run-llama.cpp")
target_link_libraries(run-llama PRIVATE llama)
target_compile_features(run-llama PRIVATE cxx_std_17)
set_target_properties(run-llama PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
if(RUN_LLAMA_OLD_API)
  target_compile_definitions(run-llama PRIVATE RUN_LLAMA_OLD_API)
endif()

# cmake -DSOURCE=http/web -DOUTPUT=DIR "-DFILES=dist/a;dist/b" -P embed.cmake
# Compresses FILES into DIR and writes DIR/web_files.cpp: their compressed bytes, sizes and entity tags. The bytes come
# in by the assembler: they are read-only pages of the binary, in memory only once they are asked for.
file(MAKE_DIRECTORY ${OUTPUT})
set(rows "")
set(bytes "")
set(number 0)
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  execute_process(COMMAND gzip -9 -n -c ${SOURCE}/${file} OUTPUT_FILE ${OUTPUT}/${name}.gz COMMAND_ERROR_IS_FATAL ANY)
  file(SHA256 ${SOURCE}/${file} hash)
  string(SUBSTRING ${hash} 0 20 tag)
  file(SIZE ${SOURCE}/${file} size)
  file(SIZE ${OUTPUT}/${name}.gz gzip_size)
  string(APPEND bytes "asm(\".section .rodata\\nllm_proxy_web_${number}:\\n.incbin \\\"${OUTPUT}/${name}.gz\\\"\\n.previous\\n\");\n")
  string(APPEND bytes "extern \"C\" const char bytes_${number}[] asm(\"llm_proxy_web_${number}\");\n")
  string(APPEND rows "    {\"${name}\", \"${tag}\", {bytes_${number}, ${gzip_size}}, ${size}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT}/web_files.cpp "// Written by http/web/embed.cmake.
#include \"http/web/web_pages.hpp\"

${bytes}
namespace llm_proxy {

const web_file web_files[] = {
${rows}};
const std::size_t web_file_count = ${number};

}  // namespace llm_proxy
")

#include "http/system/resident_memory.hpp"

#include "support/catch.hpp"
#include "support/odd_files.hpp"

namespace llm_proxy {

TEST_CASE("resident memory: what cannot be read is unknown, not 0", "[unit][memory]") {
  const test::file_folder folder;
  CHECK(resident_bytes(folder.path("missing").c_str()) == std::nullopt);
  CHECK(resident_bytes(folder.write("empty", "").c_str()) == std::nullopt);
  CHECK(resident_bytes(folder.write("words", "many few").c_str()) == std::nullopt);
  CHECK(resident_bytes(folder.write("one", "7").c_str()) == std::nullopt);
  CHECK(resident_bytes() > std::size_t{1} << 20);
}

}  // namespace llm_proxy

#include "http/system/regular_file.hpp"

#include "support/catch.hpp"
#include "support/odd_files.hpp"

#include <filesystem>
#include <string>

namespace llm_proxy::test {

TEST_CASE("regular file: it is read whole, even through symbolic links, up to the limit", "[unit][file]") {
  const file_folder folder;
  const auto path = folder.write("plain", std::string(100'000, 'x'));
  CHECK(read_regular_file(path, 100'000).text == std::string(100'000, 'x'));
  CHECK(read_regular_file(path, 100'000).fault.empty());
  const auto link = folder.path("link");
  std::filesystem::create_symlink(path, link);
  CHECK(read_regular_file(link, 100'000).text.size() == 100'000);
  CHECK(read_regular_file(path, 99'999).fault == "is larger than 99999 bytes");
  CHECK(read_regular_file(path, 99'999).text.empty());
  CHECK(read_regular_file(folder.write("empty", ""), 10).fault.empty());
  CHECK(check_regular_file(path, 100'000).empty());
  CHECK(check_regular_file(folder.path("empty"), 10) == "is empty");
}

TEST_CASE("regular file: a file that says nothing about its size is read all the same", "[unit][file]") {
  CHECK(read_regular_file("/proc/self/status", 1 << 20).text.find("Pid:") != std::string::npos);
  CHECK(read_regular_file("/proc/self/status", 10).fault == "is larger than 10 bytes");
}

TEST_CASE("regular file: anything else is refused without waiting for it, and the fault says what it is",
          "[unit][file]") {
  const file_folder folder;
  for (const auto& odd : odd_files(folder, "odd")) {
    INFO(odd.path);
    CHECK(read_regular_file(odd.path, 1000).fault.find(odd.fault) != std::string::npos);
    CHECK(check_regular_file(odd.path, 1000).find(odd.fault) != std::string::npos);
    CHECK_FALSE(read_regular_file(odd.path, 1000).missing);
  }
  CHECK(read_regular_file(folder.path("none"), 10).missing);
  CHECK(read_regular_file(folder.path("none"), 10).fault == "cannot be read: No such file or directory");
  // /dev/null may be mounted over a file to say that there is none.
  CHECK(read_regular_file("/dev/null", 10).missing);
}

}  // namespace llm_proxy::test

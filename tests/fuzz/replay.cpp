// Runs a fuzz target over files, as libFuzzer does with a corpus. It needs no libFuzzer, so every build tests
// the inputs that once crashed.
//   <target>_replay <file or directory>...
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int count, char** arguments) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (int i = 1; i < count; ++i) {
    const fs::path given{arguments[i]};
    if (fs::is_directory(given)) {
      for (const auto& each : fs::directory_iterator{given}) files.push_back(each.path());
    } else {
      files.push_back(given);
    }
  }
  for (const auto& file : files) {
    std::ifstream in{file, std::ios::binary};
    if (!in) {
      std::fprintf(stderr, "cannot read %s\n", file.c_str());
      return 2;
    }
    const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    std::fprintf(stderr, "%s\n", file.c_str());  // after a crash, the last name is the input that caused it
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    // Every prefix of the file is run, too, because parsers often meet input that is cut short.
    for (std::size_t size = 0; size < bytes.size() && size < 4096; ++size) {
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), size);
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "no file to replay\n");
    return 2;
  }
  std::fprintf(stderr, "%zu files\n", files.size());
}

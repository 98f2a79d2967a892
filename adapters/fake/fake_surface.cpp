#include "adapters/fake/fake_surface.hpp"

#include "adapters/fake/fake_completion.hpp"
#include "adapters/fake/fake_message.hpp"
#include "adapters/fake/fake_response.hpp"
#include "http/answer/error_shape.hpp"
#include "http/dialect/sse.hpp"
#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"

#include <array>
#include <bit>

namespace llm_proxy {

namespace {

/// A PNG of one transparent pixel.
constexpr std::string_view pixel =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

fake_answer json(std::string body) {
  return {200, "application/json", {{false, std::move(body)}}};
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    const auto left = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < left ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += k <= left ? alphabet[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

/// The members of a body that the simple endpoints use.
struct fields {
  std::string model;
  std::string text;                 // prompt, input or query
  std::vector<std::string> inputs;  // the elements of input or documents, as text
  std::string encoding;
  std::string stream_format;
  bool stream = false;
  std::size_t dimensions = 8;
};

fields read(std::string_view body) {
  fields found;
  for_each_member(body, [&](std::string_view key, json_token kind, std::string_view value) {
    const bool text = kind == json_token::string;
    if (key == "model" && text) found.model = json_unescaped(value);
    if ((key == "prompt" || key == "input" || key == "query") && text) found.text = json_unescaped(value);
    if (key == "encoding_format" && text) found.encoding = json_unescaped(value);
    if (key == "stream_format" && text) found.stream_format = json_unescaped(value);
    if (key == "stream") found.stream = kind == json_token::literal_true;
    if (key == "dimensions" && kind == json_token::number && value.size() < 5)
      found.dimensions = std::stoul(std::string{value});
    if ((key == "input" || key == "documents") && kind == json_token::begin_array) {
      for_each_element(value, [&](json_token each, std::string_view raw) {
        found.inputs.push_back(each == json_token::string ? json_unescaped(raw) : std::string{raw});
      });
    }
  });
  if (found.inputs.empty()) found.inputs.push_back(found.text);
  return found;
}

/// Returns a vector that depends only on the text. Different texts almost always have different vectors.
std::vector<float> vector_of(std::string_view text, std::size_t dimensions) {
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::vector<float> values;
  for (std::size_t i = 0; i < dimensions; ++i) {
    hash = hash * 6364136223846793005ULL + 1442695040888963407ULL;
    values.push_back(static_cast<float>(hash >> 52) / 4096.0F - 0.5F);
  }
  return values;
}

fake_answer embeddings(std::string_view body) {
  const auto asked = read(body);
  std::string data;
  for (std::size_t i = 0; i < asked.inputs.size(); ++i) {
    const auto values = vector_of(asked.inputs[i], asked.dimensions);
    std::string embedding;
    if (asked.encoding == "base64") {
      std::string bytes;
      for (const float value : values) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 0xFF);
      }
      embedding = json_quoted(base64(bytes));
    } else {
      for (const float value : values) embedding += (embedding.empty() ? "[" : ",") + std::to_string(value);
      embedding += "]";
    }
    data += (i == 0 ? "" : ",") + (R"({"object":"embedding","index":)" + std::to_string(i)) +
            R"(,"embedding":)" + embedding + "}";
  }
  return json(R"({"object":"list","data":[)" + data + R"(],"model":)" + json_quoted(asked.model) +
              R"(,"usage":{"prompt_tokens":)" + std::to_string(asked.inputs.size()) + R"(,"total_tokens":)" +
              std::to_string(asked.inputs.size()) + "}}");
}

fake_answer moderations(std::string_view body, std::string_view unique) {
  std::string results;
  for (std::size_t i = 0; i < read(body).inputs.size(); ++i) {
    results += std::string{i == 0 ? "" : ","} + R"({"flagged":false,"categories":{},"category_scores":{}})";
  }
  return json(R"({"id":"modr-)" + std::string{unique} + R"(","model":"mock-llm","results":[)" + results +
              "]}");
}

fake_answer rerank(std::string_view body, std::string_view unique) {
  const auto asked = read(body);
  std::string results;
  for (std::size_t i = 0; i < asked.inputs.size(); ++i) {
    results += (i == 0 ? "" : ",") + (R"({"index":)" + std::to_string(i)) + R"(,"relevance_score":)" +
               std::to_string(1.0 / static_cast<double>(i + 1)) + "}";
  }
  return json(R"({"id":"rerank-)" + std::string{unique} + R"(","results":[)" + results + "]}");
}

fake_answer completions(std::string_view body, std::string_view unique, std::int64_t created) {
  const auto asked = read(body);
  const auto text = "Mock LLM response: " + asked.text;
  const auto object = [&](std::string_view piece, std::string_view reason) {
    return R"({"id":"cmpl-)" + std::string{unique} + R"(","object":"text_completion","created":)" +
           std::to_string(created) + R"(,"model":)" + json_quoted(asked.model) +
           R"(,"choices":[{"index":0,"text":)" + json_quoted(piece) + R"(,"logprobs":null,"finish_reason":)" +
           std::string{reason} + "}]";
  };
  const auto words = split_words(text);
  if (!asked.stream) {
    const auto prompt = split_words(asked.text).size();
    return json(object(text, R"("stop")") + R"(,"usage":{"prompt_tokens":)" + std::to_string(prompt) +
                R"(,"completion_tokens":)" + std::to_string(words.size()) + R"(,"total_tokens":)" +
                std::to_string(prompt + words.size()) + "}}");
  }
  fake_answer answer{200, "text/event-stream; charset=utf-8", {}};
  for (const auto& word : words) answer.pieces.push_back({true, sse_event(object(word, "null") + "}")});
  answer.pieces.push_back({false, sse_event(object("", R"("stop")") + "}") + sse_event("[DONE]")});
  return answer;
}

fake_answer chat(std::string_view body, std::string_view unique, std::int64_t created) {
  const auto request = read_fake_chat(body);
  const auto reply = make_fake_reply(request, unique, created);
  if (!request.stream) return json(fake_completion(reply));
  fake_answer answer{200, "text/event-stream; charset=utf-8", {}};
  const auto chunks = fake_chunks(reply, request.include_usage);
  // The chunks after the last delta (finish_reason, usage, [DONE]) are sent together with it, as upstreams do
  // it.
  const auto ends = std::size_t{2} + (request.include_usage ? 1 : 0);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    answer.pieces.push_back({i > 0 && i + ends < chunks.size(), sse_event(chunks[i])});
  }
  return answer;
}

/// Returns a tenth of a second of silence: WAV, 8 kHz, 8 bits, mono.
fake_answer speech(std::string_view body) {
  constexpr std::uint32_t samples = 800;
  std::string wav = "RIFF";
  const auto number = [&wav](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) wav += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  number(36 + samples, 4);
  wav += "WAVEfmt ";
  for (const auto& [value, bytes] : std::array<std::pair<std::uint32_t, int>, 7>{
           {{16, 4}, {1, 2}, {1, 2}, {8000, 4}, {8000, 4}, {1, 2}, {8, 2}}}) {
    number(value, bytes);
  }
  wav += "data";
  number(samples, 4);
  wav.append(samples, '\x80');
  if (read(body).stream_format != "sse") return {200, "audio/wav", {{false, std::move(wav)}}};
  return {200,
          "text/event-stream; charset=utf-8",
          {{true, sse_event(R"({"type":"speech.audio.delta","audio":")" + base64(wav) + R"("})")},
           {false, sse_event(R"({"type":"speech.audio.done","usage":{"input_tokens":1,"output_tokens":1,)"
                             R"("total_tokens":2}})")}}};
}

fake_answer images(std::int64_t created) {
  return json(R"({"created":)" + std::to_string(created) + R"(,"data":[{"b64_json":")" + std::string{pixel} +
              R"("}]})");
}

fake_answer nothing_stored(dialect speaks) {
  return {
      404,
      "application/json",
      {{false,
        error_body(speaks,
                   {404,
                    "Mock mode keeps nothing that could be asked for later, and has no answer for this path.",
                    "invalid_request_error",
                    {},
                    "not_found"})}}};
}

}  // namespace

fake_answer answer_as_mock(std::string_view method, std::string_view path, std::string_view body,
                           std::string_view unique, std::int64_t created) {
  if (path == "/v1/chat/completions") return chat(body, unique, created);
  if (path == "/v1/completions") return completions(body, unique, created);
  if (path == "/v1/embeddings") return embeddings(body);
  if (path == "/v1/moderations") return moderations(body, unique);
  if (path == "/v1/rerank") return rerank(body, unique);
  if (path == "/v1/responses" && method == "POST") return fake_response(body, unique, created);
  if (path == "/v1/responses/compact") return fake_compaction(body, unique, created);
  if (path == "/v1/responses/input_tokens") return fake_input_tokens(body);
  if (path == "/v1/messages") return fake_message(body, unique);
  if (path == "/v1/messages/count_tokens") return fake_token_count(body);
  if (path.starts_with("/v1/images/")) return images(created);
  if (path == "/v1/audio/transcriptions" || path == "/v1/audio/translations")
    return json(R"({"text":"Mock transcription"})");
  if (path == "/v1/audio/speech") return speech(body);
  return nothing_stored(dialect::chat);
}

}  // namespace llm_proxy

#include "http/request/body_rules.hpp"

#include <array>

namespace llm_proxy {

namespace {

constexpr json_kinds object = json_kind(json_token::begin_object);
constexpr json_kinds array = json_kind(json_token::begin_array);
constexpr json_kinds string = json_kind(json_token::string);
constexpr json_kinds number = json_kind(json_token::number);
constexpr json_kinds boolean = json_kind(json_token::literal_true) | json_kind(json_token::literal_false);
constexpr json_kinds null = json_kind(json_token::literal_null);
constexpr json_kinds optional = null | absent_member;
constexpr json_kinds anything = ~json_kinds{0};

constexpr std::string_view text = "a string";
constexpr std::string_view text_or_null = "a string or null";
constexpr std::string_view list = "an array";
constexpr std::string_view list_or_null = "an array or null";
constexpr std::string_view count_or_null = "a number or null";
constexpr std::string_view text_or_list = "a string or an array";
constexpr std::string_view text_list_or_null = "a string, an array or null";
constexpr std::string_view text_object_or_null = "a string, an object or null";

constexpr member_rule some_model{"model", string, text};
constexpr member_rule maybe_model{"model", string | optional, text_or_null};
constexpr member_rule any_messages{"messages", anything, ""};
constexpr member_rule all_messages{"messages", array, list};
constexpr member_rule maybe_stream{"stream", boolean | optional, "a boolean or null"};
constexpr member_rule any_stream_options{"stream_options", anything, ""};
constexpr member_rule text_input{"input", string | array, text_or_list};

constexpr member_rule maybe_count(std::string_view name) {
  return {name, number | optional, count_or_null};
}

constexpr std::array chat_members{
    some_model,
    all_messages,
    maybe_stream,
    any_stream_options,
    maybe_count("temperature"),
    maybe_count("top_p"),
    maybe_count("presence_penalty"),
    maybe_count("frequency_penalty"),
    maybe_count("n"),
    maybe_count("max_tokens"),
    member_rule{"tools", array | optional, list_or_null},
    member_rule{"functions", array | optional, list_or_null},
    member_rule{"tool_choice", string | object | optional, text_object_or_null},
    member_rule{"function_call", string | object | optional, text_object_or_null},
    member_rule{"stop", string | array | optional, text_list_or_null},
    member_rule{"logit_bias", object | optional, "an object or null"},
    member_rule{"user", string | optional, text_or_null},
};
constexpr std::array completion_members{
    some_model,
    any_messages,
    maybe_stream,
    any_stream_options,
    member_rule{"prompt", string | array | optional, text_list_or_null},
    maybe_count("temperature"),
    maybe_count("top_p"),
    maybe_count("presence_penalty"),
    maybe_count("frequency_penalty"),
    maybe_count("n"),
    maybe_count("max_tokens"),
    member_rule{"stop", string | array | optional, text_list_or_null},
    member_rule{"logit_bias", object | optional, "an object or null"},
};
constexpr std::array embedding_members{some_model, any_messages, maybe_stream, any_stream_options,
                                       text_input};
constexpr std::array moderation_members{maybe_model, any_messages, maybe_stream, any_stream_options,
                                        text_input};
constexpr std::array rerank_members{
    some_model,
    any_messages,
    maybe_stream,
    any_stream_options,
    member_rule{"query", string, text},
    member_rule{"documents", array, list},
};
constexpr std::array image_members{maybe_model, any_messages, maybe_stream, any_stream_options,
                                   member_rule{"prompt", string, text}};
constexpr std::array speech_members{some_model, any_messages, maybe_stream, any_stream_options,
                                    member_rule{"input", string, text}};
constexpr std::array ocr_members{some_model, any_messages, maybe_stream, any_stream_options,
                                 member_rule{"document", object, "an object"}};
constexpr std::array response_members{
    maybe_model,  // a stored prompt may name it
    any_messages,
    maybe_stream,
    any_stream_options,
    member_rule{"input", string | array | optional, text_list_or_null},
    member_rule{"tools", array | optional, list_or_null},
    maybe_count("temperature"),
    maybe_count("max_output_tokens"),
};
constexpr std::array anthropic_members{
    some_model,
    all_messages,
    maybe_stream,
    any_stream_options,
    maybe_count("max_tokens"),
    maybe_count("temperature"),
    member_rule{"system", string | array | optional, text_list_or_null},
    member_rule{"tools", array | optional, list_or_null},
};
constexpr std::array object_members{
    member_rule{"model", anything, ""},
    any_messages,
    member_rule{"stream", anything, ""},
    any_stream_options,
};

static_assert(chat_members.size() <= body_rules::largest);

constexpr std::array message_members{
    member_rule{"role", string, text},
    member_rule{"content", string | array | optional, text_list_or_null},
};

}  // namespace

const body_rules chat_rules{chat_members, true};
const body_rules completion_rules{completion_members};
const body_rules embedding_rules{embedding_members};
const body_rules moderation_rules{moderation_members};
const body_rules rerank_rules{rerank_members};
const body_rules image_rules{image_members};
const body_rules speech_rules{speech_members};
const body_rules ocr_rules{ocr_members};
const body_rules response_rules{response_members};
const body_rules anthropic_rules{anthropic_members, true};
const body_rules object_rules{object_members};

std::span<const member_rule> message_rules() {
  return message_members;
}

}  // namespace llm_proxy

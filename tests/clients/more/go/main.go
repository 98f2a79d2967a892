package main

import (
	"context"
	"fmt"
	"os"

	"github.com/anthropics/anthropic-sdk-go"
	aoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	base, key, ctx := os.Args[1], os.Args[2], context.Background()
	client := openai.NewClient(option.WithBaseURL(base+"/v1"), option.WithAPIKey(key))
	stream := client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
		Model: "mock-llm", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello go")}})
	text := ""
	for stream.Next() {
		if chunk := stream.Current(); len(chunk.Choices) > 0 {
			text += chunk.Choices[0].Delta.Content
		}
	}
	check(text, "Mock LLM response: hello go", stream.Err())
	claude := anthropic.NewClient(aoption.WithBaseURL(base), aoption.WithAPIKey(key))
	answer, err := claude.Messages.New(ctx, anthropic.MessageNewParams{Model: "mock-llm", MaxTokens: 50,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hello go"))}})
	if err != nil {
		check("", "", err)
	}
	check(answer.Content[0].Text, "Mock LLM response: hello go", nil)
	events := claude.Messages.NewStreaming(ctx, anthropic.MessageNewParams{Model: "mock-llm", MaxTokens: 50,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hello go"))}})
	whole := anthropic.Message{}
	for events.Next() {
		if err := whole.Accumulate(events.Current()); err != nil {
			check("", "", err)
		}
	}
	check(whole.Content[0].Text, "Mock LLM response: hello go", events.Err())
}

func check(got, want string, err error) {
	if err != nil || got != want {
		fmt.Fprintf(os.Stderr, "got %q, wanted %q: %v\n", got, want, err)
		os.Exit(1)
	}
}

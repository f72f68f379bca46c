// The types of openai.js, in the shape of OpenAI's API.

import type { Message, TinyPyLM } from "./tinypylm.js";

export interface ChatCompletionRequest {
  /** `refusal`, which answers carry, may be there where it is null. */
  messages: readonly (Message & { refusal?: null })[];
  /** The loaded model's name, or left out. */
  model?: string | null;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  temperature?: number | null;
  top_p?: number | null;
  top_k?: number | null;
  min_p?: number | null;
  repetition_penalty?: number | null;
  seed?: number | bigint | string | null;
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  stop?: string | readonly string[] | null;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  n?: 1 | null;
  presence_penalty?: 0 | null;
  frequency_penalty?: 0 | null;
}

export interface TopLogprob {
  token: string;
  logprob: number;
  bytes: number[];
}

export interface Logprobs {
  content: (TopLogprob & { top_logprobs: TopLogprob[] })[];
  refusal: null;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: {
    index: number;
    message: { role: "assistant"; content: string; refusal: null };
    logprobs: Logprobs | null;
    finish_reason: "stop" | "length";
  }[];
  usage: Usage;
}

export interface Delta {
  role?: "assistant";
  content?: string;
}

export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  choices: { index: number; delta: Delta; logprobs: Logprobs | null; finish_reason: "stop" | "length" | null }[];
  /** With include_usage: null but in the last chunk. */
  usage?: Usage | null;
}

export interface ChatCompletionStream extends AsyncGenerator<ChatCompletionChunk, void> {
  readonly controller: AbortController;
}

export interface Create {
  (body: ChatCompletionRequest & { stream: true }, terms?: { signal?: AbortSignal }): Promise<ChatCompletionStream>;
  (body: ChatCompletionRequest & { stream?: false | null }, terms?: { signal?: AbortSignal }): Promise<ChatCompletion>;
  (body: ChatCompletionRequest, terms?: { signal?: AbortSignal }): Promise<ChatCompletion | ChatCompletionStream>;
}

export class OpenAI {
  constructor(lm: TinyPyLM);
  readonly chat: { readonly completions: { readonly create: Create } };
}

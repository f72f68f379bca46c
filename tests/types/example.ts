// How a page in TypeScript uses it; tsc checks it with the rest.

import { OpenAI } from "../../web/openai.js";
import { TinyPyLM, TinyPyLMError, type Alternative, type Message, type Progress } from "../../web/tinypylm.js";

const signal = AbortSignal.timeout(60_000);
const onProgress = ({ phase, done_bytes, total_bytes }: Progress) => console.log(phase, done_bytes, total_bytes ?? "?");

export async function story(): Promise<string> {
  const lm = await TinyPyLM.load({ model: "storyteller-2m-q8_0", threads: 2, kvCache: "f16", signal, onProgress });
  const telling = lm.generate("Once upon a time", { temperature: 0.7, seed: 2n ** 63n, top_logprobs: 3, signal });
  for await (const { text, logprob, top } of telling) console.log(text, logprob, top?.map(likelihood));
  const { text, finish_reason, figures } = await telling.result;
  console.log(finish_reason, figures["prompt_tokens"]);
  await lm.open({ url: new URL("https://models.example/mine.slm"), sha256: "00" });
  lm.close();
  return text;
}

export async function answer(lm: TinyPyLM, question: string): Promise<string> {
  const messages: Message[] = [{ role: "user", content: question }];
  if (await lm.countTokens(messages) > 400) return "That is long.";
  try {
    return (await lm.chat(messages).result).text;
  } catch (error) {
    if (error instanceof TinyPyLMError && error.code === "NoChatFormat") return "";
    throw error;
  }
}

export async function chat(lm: TinyPyLM): Promise<number> {
  const { create } = new OpenAI(lm).chat.completions;
  const messages: Message[] = [{ role: "user", content: "Tell me a story" }];
  const { choices: [choice], usage } = await create({ messages, logprobs: true, top_logprobs: 2, max_completion_tokens: 50 });
  if (choice !== undefined) messages.push(choice.message);
  const stream = await create({ messages, stream: true, stop: "\n", stream_options: { include_usage: true } }, { signal });
  for await (const { choices } of stream) console.log(choices[0]?.delta.content);
  stream.controller.abort();
  const either = await create({ messages, stream: messages.length > 1 });
  console.log("controller" in either ? "chunks" : either.usage.total_tokens);
  return usage.total_tokens;
}

function likelihood({ text, logprob }: Alternative): [string, number] {
  return [text, Math.exp(logprob)];
}

// @ts-expect-error: one model, not two
export const two = () => TinyPyLM.load({ model: "a", url: "b" });
// @ts-expect-error: the option is called temperature
export const misspelt = (lm: TinyPyLM) => lm.generate("a", { temprature: 1 });
// @ts-expect-error: one answer at a time
export const several = (lm: TinyPyLM) => new OpenAI(lm).chat.completions.create({ messages: [], n: 2 });
// @ts-expect-error: load makes it
export const made = () => new TinyPyLM();

// What web/*.d.ts promise is what the code does: tsc refuses this file where a method, a parameter or a result differs.

import type { OpenAI as MadeOpenAI } from "../../web/chat-completions.js";
import type * as made from "../../web/embedded-model.js";
import type { OpenAI } from "../../web/openai.js";
import type { PageError } from "../../web/page-error.js";
import type { TinyPyLM, TinyPyLMError } from "../../web/tinypylm.js";

type Same<A, B> = [A, B] extends [B, A] ? true : false;

export const load: (implemented: typeof made.TinyPyLM.load) => typeof TinyPyLM.load = (implemented) => implemented;
export const model: (implemented: made.TinyPyLM) => Omit<TinyPyLM, never> = (implemented) => implemented;
export const members: Same<keyof TinyPyLM, keyof made.TinyPyLM> = true;
export const error: (implemented: PageError) => TinyPyLMError = (implemented) => implemented;
export const parameters: Same<Parameters<typeof TinyPyLM.load>, Parameters<typeof made.TinyPyLM.load>> = true;
export const openai: (implemented: MadeOpenAI) => OpenAI = (implemented) => implemented;

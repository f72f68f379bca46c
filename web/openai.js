// @ts-check
// OpenAI's shape over a loaded model: `import { OpenAI } from ".../openai.js"`. openai.d.ts has its types.

export { OpenAI } from "./chat-completions.js";

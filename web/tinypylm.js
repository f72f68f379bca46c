// @ts-check
// TinyPyLM in other people's pages: `import { TinyPyLM } from ".../tinypylm.js"`. docs/embedding.md describes it,
// tinypylm.d.ts has its types.

export { TinyPyLM } from "./embedded-model.js";
export { PageError as TinyPyLMError } from "./page-error.js";

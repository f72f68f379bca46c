// @ts-check
// The least that embeds a model: load it, and let it go on with a text.

import { TinyPyLM, TinyPyLMError } from "../tinypylm.js";

const story = /** @type {HTMLElement} */ (document.querySelector("#story"));
try {
  const onProgress = (/** @type {import("../tinypylm.js").Progress} */ { phase }) => void (story.textContent = `${phase}…`);
  const lm = await TinyPyLM.load({ model: "storyteller-2m-q8_0", onProgress });
  story.textContent = "Once upon a time";
  const telling = lm.generate(story.textContent, { temperature: 0.7, max_tokens: 200, seed: Date.now() });
  for await (const { text } of telling) story.append(text);
} catch (error) {
  if (!(error instanceof TinyPyLMError)) throw error;
  story.textContent = `${error.message} [${error.code}]`;
} finally {
  story.ariaBusy = "false"; // now a screen reader reads it, once and whole
}

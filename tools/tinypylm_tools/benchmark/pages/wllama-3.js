// @ts-check
// wllama 3 as a page of the benchmark: `window.engine`, whose interface stands in engine.js.

import { Arrivals, fetchBlob, serve } from "./engine.js";

/** @typedef {{timings?: {prompt_per_second: number, predicted_per_second: number, predicted_n: number}}} Chunk */

/** @type {any} */
const { Wllama } = await import(/** @type {string} */ ("./package/index.js"));

const wllama = new Wllama({ default: "package/wasm/wllama.wasm" }, { suppressNativeLog: true });
/** @type {NonNullable<Chunk["timings"]>} llama.cpp's own figures of the last run */
let timings;

await serve({
  async load({ threads, context_length }) {
    // The processor only, and one sequence, as everywhere in this comparison.
    const options = { n_threads: threads, n_ctx: context_length, n_gpu_layers: 0, n_parallel: 1 };
    await wllama.loadModel([await fetchBlob("model/model.gguf")], options);
  },

  async run(prompt, max_tokens) {
    const arrivals = new Arrivals();
    const onData = (/** @type {Chunk} */ chunk) => {
      if (chunk.timings === undefined) arrivals.add();
      else timings = chunk.timings; // the last one, which brings no token
    };
    await wllama.createCompletion(
      { prompt, max_tokens, temperature: 0, top_k: 1, ignore_eos: true, cache_prompt: false, stream: true, onData },
    );
    return arrivals.figures(timings.predicted_n);
  },

  async ownClock() {
    return {
      prompt_tokens_per_second: timings.prompt_per_second,
      decode_tokens_per_second: timings.predicted_per_second,
    };
  },
});

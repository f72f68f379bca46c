// @ts-check
// wllama 2 as a page of the benchmark: `window.engine`, whose interface stands in engine.js.

import { Arrivals, fetchBlob, serve } from "./engine.js";

/** @typedef {{t_ms: number}} Benchmark */

/** @type {any} */
const { Wllama } = await import(/** @type {string} */ ("./package/index.js"));

const wllama = new Wllama(
  { "single-thread/wllama.wasm": "package/single-thread/wllama.wasm",
    "multi-thread/wllama.wasm": "package/multi-thread/wllama.wasm" },
  { suppressNativeLog: true },
);

/** One sampler that looks at one token: the cheapest way this version has to choose the best one. */
const GREEDY = { temp: 0, top_k: 1 };

await serve({
  async load({ threads, context_length }) {
    await wllama.loadModel([await fetchBlob("model/model.gguf")], { n_threads: threads, n_ctx: context_length });
  },

  async run(prompt, max_tokens) {
    const arrivals = new Arrivals();
    await wllama.createCompletion(prompt, { nPredict: max_tokens, sampling: GREEDY, onNewToken: () => arrivals.add() });
    return arrivals.figures(arrivals.count);
  },

  /** Its own benchmark: llama_decode and nothing else, from an empty context, by llama.cpp's clock. */
  async ownClock(prompt_tokens, max_tokens) {
    /** @type {Benchmark} */
    const prompt = await wllama._testBenchmark("pp", prompt_tokens);
    /** @type {Benchmark} */
    const decode = await wllama._testBenchmark("tg", max_tokens);
    return {
      prompt_tokens_per_second: (1000 * prompt_tokens) / prompt.t_ms,
      decode_tokens_per_second: (1000 * max_tokens) / decode.t_ms,
    };
  },
});

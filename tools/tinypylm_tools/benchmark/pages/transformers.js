// @ts-check
// transformers.js as a page of the benchmark: `window.engine`, whose interface stands in engine.js.

import { Arrivals, serve } from "./engine.js";

/** @type {any} */
const transformers = await import(/** @type {string} */ ("./package/transformers.min.js"));
const { AutoModelForCausalLM, BaseStreamer, Tensor, env } = transformers;

const FIRST_TOKEN = 256n;
/** @type {any} */
let model;
let prompt_tokens = 0;
/** @type {number[]} milliseconds inside the network, of the last run: the prompt, then each token */
let forward_ms = [];

/** Told of every token, after the prompt as a whole. */
class Counter extends BaseStreamer {
  arrivals = new Arrivals();
  #prompt_seen = false;

  put() {
    if (this.#prompt_seen) this.arrivals.add();
    this.#prompt_seen = true;
  }

  end() {}
}

await serve({
  async load({ threads }) {
    env.allowRemoteModels = false;
    env.allowLocalModels = true;
    env.localModelPath = new URL(".", location.href).href;
    Object.assign(env.backends.onnx.wasm, { numThreads: threads, wasmPaths: new URL("package/", location.href).href });
    model = await AutoModelForCausalLM.from_pretrained("model", { dtype: "q8", device: "wasm" });
    const forward = model.forward.bind(model);
    model.forward = async (/** @type {unknown} */ inputs) => {
      const started = performance.now();
      const outputs = await forward(inputs);
      forward_ms.push(performance.now() - started);
      return outputs;
    };
  },

  async run(prompt, max_tokens) {
    const ids = [FIRST_TOKEN, ...Array.from(new TextEncoder().encode(prompt), BigInt)];
    [prompt_tokens, forward_ms] = [ids.length, []];
    const streamer = new Counter();
    await model.generate({
      input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1n)),
      max_new_tokens: max_tokens, do_sample: false, streamer,
    });
    return streamer.arrivals.figures(streamer.arrivals.count);
  },

  /** It has no clock of its own: this is the time inside the network. */
  async ownClock() {
    const [prompt_ms = NaN, ...decode_ms] = forward_ms;
    return {
      prompt_tokens_per_second: (1000 * prompt_tokens) / prompt_ms,
      decode_tokens_per_second: (1000 * decode_ms.length) / decode_ms.reduce((sum, ms) => sum + ms, 0),
    };
  },
});

/** @param {bigint[]} row */
function tensor(row) {
  return new Tensor("int64", BigInt64Array.from(row), [1, row.length]);
}

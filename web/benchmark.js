// @ts-check
// One model under measurement in this browser: the limit that the best kernel sets, and what prompts and tokens take.

/**
 * @typedef {{tokens: number, first_ms: number, arrivals_ms: number[]}} Delivery when each token reached the page
 * @typedef {{decode_tokens_per_second: number, prompt_tokens_per_second: number}} OwnClock
 * @typedef {{macs_per_second: number, macs_per_token: number}} Limit
 * @typedef {{median: number, low: number, high: number}} Spread
 * @typedef {{limit: Limit, limit_tokens_per_second: number, decode_tokens_per_second: Spread,
 *   delivered_tokens_per_second: Spread, prompt_tokens_per_second: Spread, time_to_first_token_ms: Spread,
 *   share_of_limit: number, figures: Record<string, any>}} Report
 */

const PROMPT_TOKENS = 128;
const DECODED_TOKENS = 128;
const PROBE_CHARACTERS = 120;
const CALIBRATION_SECONDS = 1;
const TEXT = (
  "Once upon a time there was a small engine in a green valley. Every morning it pulled two red wagons up the hill, " +
  "and every evening it rolled back down with milk and apples for the town. One day the rain washed away the bridge. "
).repeat(8);

/** A loaded model. `run`, `ownClock` and `calibrate` are also what `tinypylm bench` calls, here and on a peer's page. */
export class Benchmark {
  #client;

  /**
   * @param {import("./client.js").Client} client
   * @param {Record<string, any>} figures of the loaded model, and later of the last run
   */
  constructor(client, figures) {
    this.#client = client;
    this.figures = figures;
  }

  /**
   * @param {import("./client.js").Client} client with Python started
   * @param {ArrayBuffer} model a .slm file; transferred
   */
  static async load(client, model) {
    return new Benchmark(client, await client.request("load", {}, model));
  }

  /**
   * From an empty context: of the run before, nothing may be left to be reused.
   * @param {string} prompt
   * @param {number} max_tokens
   * @returns {Promise<Delivery>}
   */
  async run(prompt, max_tokens) {
    await this.#client.request("reset");
    const started = performance.now();
    /** @type {number[]} */
    const arrivals_ms = [];
    const token = () => void arrivals_ms.push(performance.now() - started);
    ({ figures: this.figures } = await this.#client.generate(prompt, { temperature: 0, max_tokens }, { token }));
    return { tokens: arrivals_ms.length, first_ms: arrivals_ms[0] ?? NaN, arrivals_ms };
  }

  /**
   * What the engine itself measures: its network alone, from an empty context.
   * @param {number} prompt_tokens
   * @param {number} tokens
   * @returns {Promise<OwnClock>}
   */
  ownClock(prompt_tokens, tokens) {
    return this.#client.request("network_rates", { prompt_tokens, tokens });
  }

  /** @returns {Promise<Limit>} */
  calibrate() {
    return this.#client.request("calibrate", { seconds: CALIBRATION_SECONDS });
  }
}

/**
 * @param {Benchmark} benchmark
 * @param {number} runs
 * @param {(text: string) => void} say
 * @returns {Promise<Report>}
 */
export async function measure(benchmark, runs, say) {
  say("Warming up");
  const prompt = await promptOf(benchmark);
  await benchmark.run(prompt, DECODED_TOKENS);
  const limits = [];
  const done = [];
  for (let n = 1; n <= runs; n++) {
    say(`Run ${n} of ${runs}`);
    limits.push(await benchmark.calibrate());
    done.push({ ...await benchmark.run(prompt, DECODED_TOKENS), ...await benchmark.ownClock(PROMPT_TOKENS, DECODED_TOKENS) });
  }
  return report(limits, done, benchmark.figures);
}

/**
 * A beginning of the text that has about PROMPT_TOKENS tokens in this model.
 * @param {Benchmark} benchmark
 */
async function promptOf(benchmark) {
  await benchmark.run(TEXT.slice(0, PROBE_CHARACTERS), 1);
  const tokens = Number(benchmark.figures["prompt_tokens"]);
  return TEXT.slice(0, Math.floor((PROBE_CHARACTERS * (PROMPT_TOKENS - 1)) / (tokens - 1)));
}

/**
 * @param {Limit[]} limits
 * @param {(Delivery & OwnClock)[]} runs
 * @param {Record<string, any>} figures
 * @returns {Report}
 */
function report(limits, runs, figures) {
  const limit = limits.reduce((best, one) => (one.macs_per_second > best.macs_per_second ? one : best));
  const limit_tokens_per_second = limit.macs_per_second / limit.macs_per_token;
  const decode = spread(runs.map((run) => run.decode_tokens_per_second));
  return {
    limit,
    limit_tokens_per_second,
    decode_tokens_per_second: decode,
    delivered_tokens_per_second: spread(runs.map(delivered)),
    prompt_tokens_per_second: spread(runs.map((run) => run.prompt_tokens_per_second)),
    time_to_first_token_ms: spread(runs.map((run) => run.first_ms)),
    share_of_limit: decode.median / limit_tokens_per_second,
    figures,
  };
}

/**
 * Tokens per second between the first one's arrival and the last one's.
 * @param {Delivery} run
 */
function delivered({ tokens, first_ms, arrivals_ms }) {
  return (1000 * (tokens - 1)) / ((arrivals_ms.at(-1) ?? NaN) - first_ms);
}

/**
 * @param {number[]} values
 * @returns {Spread}
 */
function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
  return { median, low: sorted[0] ?? 0, high: sorted.at(-1) ?? 0 };
}

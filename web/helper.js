// @ts-check
// A helper thread of the engine: no Python, only the compiled model over the shared memory. `serve` returns when the
// engine is freed; then the next model can come.

/** @typedef {{module: WebAssembly.Module, memory: WebAssembly.Memory, thread: number}} Share */

self.addEventListener("message", async (/** @type {MessageEvent<Share>} */ event) => {
  const { module, memory, thread } = event.data;
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  /** @type {any} */ (exports).serve(thread);
});
self.postMessage("ready");

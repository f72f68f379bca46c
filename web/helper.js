// @ts-check
// A helper thread of the engine: no Python, only the compiled model over the shared memory. `serve` returns when the
// engine is freed; then the next model can come. The lock named as the thread says that it lives.

/** @typedef {{module: WebAssembly.Module, memory: WebAssembly.Memory, thread: number}} Share */

self.addEventListener("message", async (/** @type {MessageEvent<Share>} */ event) => {
  const { module, memory, thread } = event.data;
  try {
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    /** @type {any} */ (exports).serve(thread);
  } catch {
    self.close(); // whatever it was, this thread cannot go on; without the lock the page knows
  }
});

navigator.locks.request(self.name, () => {
  self.postMessage("ready");
  return new Promise(() => undefined);
});

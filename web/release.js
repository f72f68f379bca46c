// @ts-check
// Memory given back at once: the collector would leave tens of megabytes lying for a long time.

const { port1: nowhere, port2 } = new MessageChannel();
port2.close();

/** @param {...ArrayBuffer} buffers empty afterwards, whoever else still holds them */
export function release(...buffers) {
  // Not transfer(0): of a buffer that the browser made, it leaves the browser's own hold on the memory.
  nowhere.postMessage(null, buffers.filter((buffer) => !buffer.detached));
}

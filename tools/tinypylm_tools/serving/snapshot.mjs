// Python's memory with the runtime imported, made as the page's worker makes it: node snapshot.mjs PYODIDE_FOLDER WHEEL OUT
//
// Writes what Pyodide gives, and prints the address of the word of its heap that depends on the JavaScript engine.

import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, wheel, out] = process.argv.slice(2);
const path = `/lib/${basename(wheel)}`;
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const pyodide = await loadPyodide({
  indexURL: `${folder}/`,
  env: { HOME: "/home/pyodide", PYTHONPATH: path, LANG: "C.UTF-8" },
  fsInit: async (files) => files.writeFile(path, readFileSync(wheel)),
  _sysExecutable: "./this.program", // as in a browser, where no path of this machine can come in
  _makeSnapshot: true,
});
for (const module of ["tinypylm.app", "tinypylm.hosts.browser"]) pyodide.pyimport(module);

// Where CPython keeps the table's index of its call trampoline: the only function that Pyodide adds to the table at the
// start, and only where the engine can compile it. Any other would make the memory depend on this engine.
const { HEAP32, __PyRuntime, __PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET, wasmTable, functionsInTableMap } = pyodide._module;
const word = __PyRuntime + HEAP32[__PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET / 4];
const trampoline = HEAP32[word / 4];
if (trampoline === 0 ? functionsInTableMap !== undefined : wasmTable.length !== trampoline + 1) {
  throw new Error("Pyodide has added other functions to WebAssembly's table");
}
writeFileSync(out, pyodide.makeMemorySnapshot());
console.log(word);

// @ts-check
// How far one assembly has come, in the phases of its plan: those that hold are named, the first that does not is an error.

import { PageError } from "./page-error.js";

const MOST_PHASES = 6;

/** Evidence or an adapter that is refused: the reader learns the step, a program the code of the broken rule. */
export class AssemblyError extends PageError {
  /**
   * @param {string} phase
   * @param {string} step
   * @param {PageError} cause
   */
  constructor(phase, step, { code, message, detail }) {
    super(code, `assembly evidence rejected at ${phase}, ${step}: ${message}`, { ...detail, phase, step });
  }
}

/**
 * A figure for each phase: its name once it is verified.
 * @param {readonly string[]} verified
 * @returns {import("./store.js").Figures}
 */
export function phaseFigures(verified) {
  return Object.fromEntries(Array.from({ length: MOST_PHASES }, (_, i) => [`module_${i}_phase`, verified[i] ?? null]));
}

// @ts-check
// The page's conversation: what was said and answered, as the model is told it with every new message.

/** @typedef {import("./client.js").Message} Message */

export class Conversation {
  #actions;
  /** @type {Message[]} */
  #turns = [];

  /** @param {import("./actions.js").Actions} actions */
  constructor(actions) {
    this.#actions = actions;
  }

  /**
   * A message to be answered. One that is refused was never said; an answer that breaks off stays as far as it came.
   * @param {string} content
   * @param {unknown} options as for a generation
   */
  async say(content, options) {
    /** @type {Message[]} */
    const turns = [...this.#turns, { role: "user", content }];
    let answer = "";
    try {
      const { text } = await this.#actions.generate(turns, options, (token) => void (answer += token.text));
      this.#turns = [...turns, { role: "assistant", content: answer + text }];
    } catch (error) {
      if (answer !== "") this.#turns = [...turns, { role: "assistant", content: answer }];
      throw error;
    }
  }

  clear() {
    this.#turns = [];
  }
}

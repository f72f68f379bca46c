// @ts-check
// #mode: whether a prompt is continued or answered. Chat can be chosen where the loaded model was made for it.

import { isChatting } from "../store.js";
import { element } from "./element.js";

/** @type {Readonly<Record<"continue" | "chat", {label: string, button: string, hint: string}>>} */
const WORDS = Object.freeze({
  continue: { label: "Beginning of the text", button: "Generate", hint: "prompt-hint" },
  chat: { label: "Your message", button: "Send", hint: "chat-hint" },
});

/** @param {import("../store.js").Store} store */
export function mountMode(store) {
  const mode = element("mode", HTMLFieldSetElement);
  const prompt = element("prompt", HTMLTextAreaElement);
  mode.addEventListener("change", () => {
    const chosen = mode.querySelector("input:checked");
    store.update({ mode: chosen === element("mode-chat") ? "chat" : "continue" });
  });
  store.subscribe((snapshot) => {
    const chatting = isChatting(snapshot);
    const { label, button, hint } = WORDS[chatting ? "chat" : "continue"];
    mode.disabled = snapshot.figures["can_chat"] !== true || !store.allows("generate");
    mode.title = snapshot.figures["can_chat"] === false ? "This model was not made for chat." : "";
    element(chatting ? "mode-chat" : "mode-continue", HTMLInputElement).checked = true;
    for (const { hint: id } of Object.values(WORDS)) element(id).hidden = id !== hint;
    prompt.setAttribute("aria-describedby", hint);
    setText(element("prompt-label"), label);
    setText(element("generate"), button);
  });
}

/**
 * @param {HTMLElement} target
 * @param {string} text
 */
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

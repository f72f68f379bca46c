// The types of tinypylm.js.

/** What is refused, with a code for programs. docs/embedding.md lists the codes. */
export class TinyPyLMError extends Error {
  constructor(code: string, message: string, detail?: Record<string, unknown>);
  readonly code: string;
  readonly detail: Record<string, unknown>;
}

export interface Progress {
  phase: string;
  done_bytes: number;
  /** null where it is not known. */
  total_bytes: number | null;
}

/** Exactly one model. */
export type Source =
  | { /** An id of models/selector.registry. */ model: string; url?: never; sha256?: never; bytes?: never }
  | { /** A .slm file. */ url: string | URL; /** Its digest, in hexadecimal. */ sha256?: string; model?: never; bytes?: never }
  | { /** A .slm file. */ bytes: ArrayBuffer | Uint8Array<ArrayBuffer> | Blob; model?: never; url?: never; sha256?: never };

export interface LoadTerms {
  /** Aborting rejects with its reason. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

export type OpenOptions = LoadTerms & Source;

export type LoadOptions = OpenOptions & {
  /** Address of the folder with vendor/ and models/; that of tinypylm.js where it is left out. */
  base?: string | URL | undefined;
  /** 1 to 4; half of the processors where it is left out. One where the page is not cross-origin isolated. */
  threads?: number | undefined;
  /** How keys and values are kept. */
  kvCache?: "f32" | "f16" | undefined;
};

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface GenerateOptions {
  /** 0 takes the likeliest token always. */
  temperature?: number | undefined;
  top_k?: number | undefined;
  top_p?: number | undefined;
  min_p?: number | undefined;
  repetition_penalty?: number | undefined;
  /** 0 to 2^64 - 1; above 2^53 as text or bigint. */
  seed?: number | bigint | string | undefined;
  max_tokens?: number | undefined;
  stop_strings?: readonly string[] | undefined;
  /** 0 to 20: every token then has `bytes` and `top`. */
  top_logprobs?: number | undefined;
  /** Records it: the result has `receipt`. */
  receipt?: boolean | undefined;
  /** Aborting stops the generation and rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** One token of the vocabulary by itself. Special tokens have no text and no bytes. */
export interface Piece {
  id: number;
  text: string;
  bytes: number[];
}

export interface Alternative extends Piece {
  logprob: number;
}

export interface Token {
  id: number;
  /** What became safe to give out with it: perhaps nothing, perhaps more than its own bytes. */
  text: string;
  /** In the model's own distribution, before penalty and temperature. */
  logprob: number;
  index: number;
  bytes?: number[];
  /** The likeliest, best first. */
  top?: Alternative[];
}

export type Figures = Record<string, string | number | boolean | null>;

export interface Result {
  /** The whole text. */
  text: string;
  /** "stop", "length", "context" or "cancelled". */
  finish_reason: string;
  figures: Figures;
  /** With the option `receipt`. */
  receipt?: string;
}

export interface Verdict {
  outcome: "same" | "parted" | "stopped";
  tokens: number;
  compared_tokens: number;
  same_runtime: boolean;
  message: string;
  /** Where the runs part. */
  token?: number;
  what?: "id" | "logits" | "end";
  expected?: string;
  found?: string;
}

export interface Generation extends AsyncIterableIterator<Token, Result | undefined> {
  /** The end without the tokens. */
  readonly result: Promise<Result>;
}

export interface AdapterPackage {
  format: string;
  entries: number;
  package_bytes: number;
  scale: number;
  checksum: string;
}

export interface Fetch {
  url: string;
  component: string;
  source: "network" | "cache";
  requests: number;
  declared_bytes: number | null;
  accepted_bytes: number;
  sha256: string | null;
  outcome: string;
}

export class TinyPyLM {
  private constructor();
  /** Starts Python in a worker of its own and loads a model into it. */
  static load(options: LoadOptions): Promise<TinyPyLM>;
  /** The loaded model's id in the registry, or the name in its file. */
  get model(): string | null;
  /** Whether the loaded model was made for `chat`. */
  get canChat(): boolean;
  /** Every fetch so far. */
  get fetches(): Fetch[];
  /** Another model in the place of this one. After a refusal or an abort there is none. */
  open(options: OpenOptions): Promise<void>;
  /** Continues a text. Starts at once; leaving the loop stops it. */
  generate(prompt: string | Uint8Array<ArrayBuffer>, options?: GenerateOptions): Generation;
  /** Answers a conversation, by the chat prefixes in the model's metadata. */
  chat(messages: Message | readonly Message[], options?: GenerateOptions): Generation;
  /** One token more after what stands in the context. */
  step(): Promise<Token>;
  /** Ends a generation, whose finish_reason is then "cancelled". */
  stop(): Promise<{ stopped: boolean }>;
  /** Runs the generation of a receipt again, and compares. */
  replay(receipt: string | ArrayBuffer | Uint8Array): Promise<Verdict>;
  /** The tokens that a generation would read. */
  tokenize(text: string | Message | readonly Message[], options?: { bos?: boolean }): Promise<Piece[]>;
  countTokens(text: string | Message | readonly Message[], options?: { bos?: boolean }): Promise<number>;
  detokenize(ids: readonly number[]): Promise<string>;
  /** What an adapter package for this model holds; nothing changes. */
  validateAdapter(bytes: ArrayBuffer | Uint8Array, options?: { scale?: number }): Promise<AdapterPackage>;
  /** Changes the weights in place by a package, times `scale`; the context is gone. */
  applyAdapter(bytes: ArrayBuffer | Uint8Array, options?: { scale?: number }): Promise<void>;
  /** The weights are the file's again. */
  detachAdapters(): Promise<void>;
  /** Forgets the context; the model stays. */
  reset(): Promise<void>;
  /** Unloads the model; `open` loads another. */
  free(): Promise<void>;
  diagnostics(): Promise<Figures>;
  /** Ends the worker and everything under way. */
  close(): void;
}
